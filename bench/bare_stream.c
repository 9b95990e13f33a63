/* SPDX-License-Identifier: BSD-3-Clause */
/* bare_stream.c - memory through sockets with nothing around it: what anybody could do at most */
#include "bare_stream.h"

#include "cipher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WRITE_BYTES   (1u << 20)
#define LOWAT_BYTES   (256 << 10) /* well under the receive buffer, or the reader is never woken */
#define SEALED_PIECES 32

struct stream {
    int fd;
    bool sends;
    const char *cipher;
    uint8_t *at;
    uint64_t bytes;
    int result;
    pthread_t thread;
};

/* What is left must be enough for the mark once more when a call has taken less than the mark: the kernel wakes for
 * what is new, not for what the call has in all. */
static void set_mark(int fd, uint64_t left)
{
    int mark = left < 2 * LOWAT_BYTES ? 1 : LOWAT_BYTES;

    (void)!setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
}

/* @rest: how much more is to come behind these. */
static int transfer(struct stream *stream, uint8_t *at, uint64_t bytes, uint64_t rest)
{
    while (bytes > 0) {
        size_t want = bytes < WRITE_BYTES ? (size_t)bytes : WRITE_BYTES;
        ssize_t done = stream->sends ? send(stream->fd, at, want, MSG_NOSIGNAL) : recv(stream->fd, at, want, 0);

        if (done <= 0)
            return done < 0 ? -errno : -EPIPE;
        at += done;
        bytes -= (uint64_t)done;
        if (!stream->sends && bytes + rest < 2 * LOWAT_BYTES)
            set_mark(stream->fd, bytes + rest);
    }
    return 0;
}

static int sealed(struct stream *stream, struct cipher_half *half, uint8_t *buffer)
{
    uint64_t total = stream->bytes / CIPHER_PIECE_BYTES * CIPHER_SEALED_BYTES;
    int ret = 0;

    for (uint64_t pieces; ret == 0 && stream->bytes > 0; stream->bytes -= pieces * CIPHER_PIECE_BYTES) {
        pieces =
            stream->bytes / CIPHER_PIECE_BYTES < SEALED_PIECES ? stream->bytes / CIPHER_PIECE_BYTES : SEALED_PIECES;
        total -= pieces * CIPHER_SEALED_BYTES;
        if (!stream->sends)
            ret = transfer(stream, buffer, pieces * CIPHER_SEALED_BYTES, total);
        for (uint64_t i = 0; ret == 0 && i < pieces; i++, stream->at += CIPHER_PIECE_BYTES) {
            uint8_t *piece = buffer + i * CIPHER_SEALED_BYTES;

            if (!cipher_half_work(half, stream->sends ? stream->at : piece, stream->sends ? piece : stream->at))
                ret = -EBADMSG;
        }
        if (ret == 0 && stream->sends)
            ret = transfer(stream, buffer, pieces * CIPHER_SEALED_BYTES, total);
    }
    return ret;
}

static void *stream_main(void *opaque)
{
    struct stream *stream = opaque;
    struct cipher_half *half;
    uint8_t *buffer;

    if (!stream->sends)
        set_mark(stream->fd, stream->bytes);
    if (!stream->cipher) {
        stream->result = transfer(stream, stream->at, stream->bytes, 0);
        return NULL;
    }
    half = cipher_half_new(stream->cipher, stream->sends, NULL);
    buffer = malloc(SEALED_PIECES * CIPHER_SEALED_BYTES);
    stream->result = half && buffer ? sealed(stream, half, buffer) : -ENOMEM;
    cipher_half_free(half);
    free(buffer);
    return NULL;
}

int bare_streams(const int *fds, unsigned count, bool sends, const char *cipher, const struct mapping *memory,
                 struct ferry_error *err)
{
    struct stream *streams = calloc(count, sizeof(*streams));
    uint64_t part = memory->bytes / count / CIPHER_PIECE_BYTES * CIPHER_PIECE_BYTES;
    unsigned started = 0;
    int ret = streams ? 0 : -ENOMEM;

    while (ret == 0 && started < count) {
        struct stream *stream = &streams[started];

        *stream = (struct stream){ .fd = fds[started], .sends = sends, .cipher = cipher };
        stream->at = memory->host + started * part;
        stream->bytes = started + 1 < count ? part : memory->bytes - started * part;
        ret = -pthread_create(&stream->thread, NULL, stream_main, stream);
        started += ret == 0;
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(streams[i].thread, NULL);
        ret = ret < 0 ? ret : streams[i].result;
    }
    free(streams);
    return ret < 0 ? ferry_error_set(err, ret, "bare stream: %s", strerror(-ret)) : 0;
}
