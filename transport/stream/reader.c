/* SPDX-License-Identifier: BSD-3-Clause */
/* reader.c - looks ahead, checks, and counts
 *
 *      buf  |  consumed  |  read ahead  |   room   |
 *           0          start           end      READER_BUFFER
 *
 * Small values come out of the buffer.  A large read takes what is buffered, then goes straight to its place, with the
 * buffer behind it as the last element, so that one system call fills the page and reads ahead.
 */
#include "reader.h"

#include "bytes.h"
#include "channel.h"
#include "clock.h"
#include "iov.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define READER_BUFFER    (READER_UNREAD_BYTES + FERRY_LOOKAHEAD_BYTES)
#define READ_AHEAD_BYTES (64u << 10)  /* what a small read asks the channel for */
#define DIRECT_BYTES     (32u << 10)  /* from here on a read goes straight to its place */
#define BULK_BYTES       (256u << 10) /* what a bulk reader wants to be woken for */

struct ferry_reader {
    struct ferry_channel *chan;
    struct ferry_error error;  /* the first; errnum 0: none */
    uint64_t offset;           /* bytes consumed */
    size_t start, end;         /* what is buffered */
    bool refused;              /* ... was ferry_reader_fail() */
    bool ended;                /* the channel gave 0 */
    _Atomic(int64_t) heard_ns; /* when the channel gave something; read by any thread */
    _Atomic(int64_t) waits_ns; /* since when it was asked to; 0: it is not asked; likewise */
    uint8_t buf[READER_BUFFER];
};

struct ferry_reader *ferry_reader_new(struct ferry_channel *chan, struct ferry_error *err)
{
    struct ferry_reader *reader = malloc(sizeof(*reader));

    if (!reader) {
        ferry_error_set(err, -ENOMEM, "%s: no memory for a reader", ferry_channel_label(chan));
        return NULL;
    }
    memset(reader, 0, offsetof(struct ferry_reader, buf));
    reader->chan = ferry_channel_ref(chan);
    return reader;
}

void ferry_reader_free(struct ferry_reader *reader)
{
    if (!reader)
        return;
    ferry_channel_unref(reader->chan);
    free(reader);
}

struct ferry_channel *reader_channel(const struct ferry_reader *reader)
{
    return reader->chan;
}

void reader_redirect(struct ferry_reader *reader, struct ferry_channel *chan)
{
    struct ferry_channel *before = reader->chan;

    reader->chan = ferry_channel_ref(chan);
    memset(&reader->error, 0, sizeof(reader->error));
    reader->start = reader->end = 0;
    reader->refused = reader->ended = false;
    ferry_channel_unref(before);
}

void reader_count_from(struct ferry_reader *reader, uint64_t offset)
{
    reader->offset = offset;
}

uint64_t ferry_reader_offset(const struct ferry_reader *reader)
{
    return reader->offset;
}

int ferry_reader_status(const struct ferry_reader *reader, struct ferry_error *err)
{
    if (reader->error.errnum && err)
        *err = reader->error;
    return reader->error.errnum;
}

/* What failed is described: now where. */
static int stop(struct ferry_reader *reader)
{
    reader->refused = true;
    if (!reader->error.object[0])
        ferry_error_object(&reader->error, "%s", ferry_channel_label(reader->chan));
    ferry_error_offset(&reader->error, reader->offset);
    ferry_error_prefix(&reader->error, "%s: byte %" PRIu64, ferry_channel_label(reader->chan), reader->offset);
    log_debug(LOG_STREAM, "reader stops: %s", reader->error.text);
    return reader->error.errnum;
}

int ferry_reader_fail(struct ferry_reader *reader, int errnum, const char *format, ...)
{
    va_list args;

    if (reader->error.errnum)
        return reader->error.errnum;
    va_start(args, format);
    ferry_error_vset(&reader->error, errnum, format, args);
    va_end(args);
    return stop(reader);
}

int reader_fail_code(struct ferry_reader *reader, enum ferry_code code, const char *object, int errnum,
                     const char *format, ...)
{
    va_list args;

    if (reader->error.errnum)
        return reader->error.errnum;
    va_start(args, format);
    ferry_error_vset(&reader->error, errnum, format, args);
    va_end(args);
    ferry_error_code(&reader->error, code);
    if (object)
        ferry_error_object(&reader->error, "%s", object);
    return stop(reader);
}

int reader_fail_why(struct ferry_reader *reader, int errnum, const struct ferry_error *why)
{
    if (reader->error.errnum)
        return reader->error.errnum;
    if (why->errnum)
        reader->error = *why;
    else
        ferry_error_set(&reader->error, errnum, "failed without saying why");
    reader->error.errnum = errnum;
    return stop(reader);
}

int64_t reader_heard_ns(const struct ferry_reader *reader)
{
    return atomic_load_explicit(&reader->heard_ns, memory_order_relaxed);
}

int64_t reader_waits_since_ns(const struct ferry_reader *reader)
{
    int64_t since_ns = atomic_load_explicit(&reader->waits_ns, memory_order_relaxed);

    return since_ns ? since_ns : clock_now_ns();
}

bool reader_pardon(struct ferry_reader *reader)
{
    if (!reader->refused)
        return false;
    reader->refused = false;
    memset(&reader->error, 0, sizeof(reader->error));
    return true;
}

static size_t buffered(const struct ferry_reader *reader)
{
    return reader->end - reader->start;
}

size_t reader_buffered(const struct ferry_reader *reader, const uint8_t **data)
{
    *data = reader->buf + reader->start;
    return reader->error.errnum ? 0 : buffered(reader);
}

static int end_error(struct ferry_reader *reader, size_t missing)
{
    return reader_fail_code(reader, FERRY_E_STREAM_ENDED, NULL, -EPIPE,
                            "the stream ends here, at least %zu more bytes were expected", missing);
}

/* One read into @iov; 0 at the end of the stream. */
static ssize_t receive(struct ferry_reader *reader, const struct iovec *iov, int count, size_t expect)
{
    ssize_t done;

    if (reader->error.errnum)
        return reader->error.errnum;
    if (reader->ended)
        return 0;
    ferry_channel_expect(reader->chan, expect);
    atomic_store_explicit(&reader->waits_ns, clock_now_ns(), memory_order_relaxed);
    done = ferry_channel_readv(reader->chan, iov, count, &reader->error);
    atomic_store_explicit(&reader->waits_ns, 0, memory_order_relaxed);
    if (done < 0)
        ferry_error_offset(&reader->error, reader->offset);
    if (done == 0)
        reader->ended = true;
    else if (done > 0)
        atomic_store_explicit(&reader->heard_ns, clock_now_ns(), memory_order_relaxed);
    return done;
}

/* Have at least @need bytes buffered.  Returns how many there are, fewer only at the end of the stream. */
static ssize_t fill(struct ferry_reader *reader, size_t need)
{
    if (reader->error.errnum)
        return reader->error.errnum;
    if (buffered(reader) >= need)
        return (ssize_t)buffered(reader);
    if (reader->start + need + READ_AHEAD_BYTES > READER_BUFFER || buffered(reader) == 0) {
        memmove(reader->buf, reader->buf + reader->start, buffered(reader));
        reader->end -= reader->start;
        reader->start = 0;
    }
    while (buffered(reader) < need) {
        struct iovec iov = { reader->buf + reader->end, READ_AHEAD_BYTES };
        ssize_t done;

        if (iov.iov_len > READER_BUFFER - reader->end)
            iov.iov_len = READER_BUFFER - reader->end;
        done = receive(reader, &iov, 1, need - buffered(reader));
        if (done < 0)
            return done;
        if (done == 0)
            break;
        reader->end += (size_t)done;
    }
    return (ssize_t)buffered(reader);
}

/* @bytes in a row, consumed; NULL after an error. */
static const uint8_t *take(struct ferry_reader *reader, size_t bytes)
{
    ssize_t have = fill(reader, bytes);
    const uint8_t *data;

    if (have < (ssize_t)bytes) {
        if (have >= 0)
            end_error(reader, bytes - (size_t)have);
        return NULL;
    }
    data = reader->buf + reader->start;
    reader->start += bytes;
    reader->offset += bytes;
    return data;
}

int ferry_get_u8(struct ferry_reader *reader, uint8_t *value)
{
    const uint8_t *data = take(reader, 1);

    if (!data)
        return reader->error.errnum;
    *value = *data;
    return 0;
}

int ferry_get_be16(struct ferry_reader *reader, uint16_t *value)
{
    const uint8_t *data = take(reader, 2);

    if (!data)
        return reader->error.errnum;
    *value = load_be16(data);
    return 0;
}

int ferry_get_be32(struct ferry_reader *reader, uint32_t *value)
{
    const uint8_t *data = take(reader, 4);

    if (!data)
        return reader->error.errnum;
    *value = load_be32(data);
    return 0;
}

int ferry_get_be64(struct ferry_reader *reader, uint64_t *value)
{
    const uint8_t *data = take(reader, 8);

    if (!data)
        return reader->error.errnum;
    *value = load_be64(data);
    return 0;
}

/* Move up to @bytes from the buffer to @to; counts them. */
static size_t drain(struct ferry_reader *reader, void *to, size_t bytes)
{
    size_t part = buffered(reader) < bytes ? buffered(reader) : bytes;

    memcpy(to, reader->buf + reader->start, part);
    reader->start += part;
    reader->offset += part;
    return part;
}

int ferry_get_bytes(struct ferry_reader *reader, void *to, size_t bytes)
{
    uint8_t *place = to;

    if (reader->error.errnum)
        return reader->error.errnum;
    while (bytes > 0) {
        size_t part = drain(reader, place, bytes);
        ssize_t done;

        place += part;
        bytes -= part;
        if (bytes == 0)
            break;
        if (bytes < DIRECT_BYTES) {
            done = fill(reader, 1);
        } else {
            struct iovec iov[2] = { { place, bytes }, { reader->buf, READ_AHEAD_BYTES } };

            reader->start = reader->end = 0;
            done = receive(reader, iov, 2, bytes);
            if (done > 0) {
                part = (size_t)done < bytes ? (size_t)done : bytes;
                place += part;
                bytes -= part;
                reader->offset += part;
                reader->end = (size_t)done - part;
            }
        }
        if (done < 0)
            return (int)done;
        if (done == 0)
            return end_error(reader, bytes);
    }
    return 0;
}

int ferry_get_cstr8(struct ferry_reader *reader, char to[256])
{
    uint8_t bytes;
    int ret = ferry_get_u8(reader, &bytes);

    if (ret == 0 && bytes == 0)
        return ferry_reader_fail(reader, -EPROTO, "an empty name");
    if (ret == 0)
        ret = ferry_get_bytes(reader, to, bytes);
    if (ret < 0)
        return ret;
    to[bytes] = '\0';
    if (strlen(to) != bytes)
        return ferry_reader_fail(reader, -EPROTO, "a name with a NUL byte inside");
    return 0;
}

int ferry_reader_skip(struct ferry_reader *reader, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t have = fill(reader, 1);

        if (have < 0)
            return (int)have;
        if (have == 0)
            return end_error(reader, bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX);
        if ((uint64_t)have > bytes)
            have = (ssize_t)bytes;
        reader->start += (size_t)have;
        reader->offset += (uint64_t)have;
        bytes -= (uint64_t)have;
    }
    return 0;
}

ssize_t ferry_reader_peek(struct ferry_reader *reader, size_t want, const uint8_t **data)
{
    ssize_t have;

    if (want > FERRY_LOOKAHEAD_BYTES)
        return ferry_reader_fail(reader, -EINVAL, "cannot look %zu bytes ahead", want);
    have = fill(reader, want);
    *data = reader->buf + reader->start;
    return have > (ssize_t)want ? (ssize_t)want : have;
}

void reader_preload(struct ferry_reader *reader, const void *data, size_t bytes)
{
    memcpy(reader->buf, data, bytes);
    reader->end = bytes;
}

int reader_drop(struct ferry_reader *reader)
{
    struct iovec iov = { reader->buf, READER_BUFFER };
    ssize_t done = ferry_channel_readv(reader->chan, &iov, 1, NULL);

    reader->start = reader->end = 0;
    return done > 0 ? 0 : done < 0 ? (int)done : -EPIPE;
}

int reader_at_end(struct ferry_reader *reader)
{
    ssize_t have = fill(reader, 1);

    return have < 0 ? (int)have : have == 0;
}

ssize_t reader_scatter(struct ferry_reader *reader, struct iovec **iov, int *count, size_t want, bool bulk)
{
    size_t got = 0;

    if (reader->error.errnum)
        return reader->error.errnum;
    while (buffered(reader) > 0 && *count > 0) {
        size_t part = drain(reader, (*iov)->iov_base, (*iov)->iov_len);

        got += part;
        iov_consume(iov, count, part);
    }
    while (got<want && * count> 0) {
        ssize_t done = receive(reader, *iov, *count, bulk ? BULK_BYTES : want - got);

        if (done < 0)
            return done;
        if (done == 0)
            return end_error(reader, want - got);
        got += (size_t)done;
        reader->offset += (uint64_t)done;
        iov_consume(iov, count, (size_t)done);
    }
    return (ssize_t)got;
}

void reader_unread(struct ferry_reader *reader, const struct iovec *iov, int count, size_t offset, size_t got)
{
    size_t bytes = got - offset, left = buffered(reader);

    /* The scatter emptied the buffer, or filled all of @iov from it: then what is left stays behind what comes back. */
    memmove(reader->buf + bytes, reader->buf + reader->start, left);
    iov_copy_from(reader->buf, bytes, iov, count, offset);
    reader->start = 0;
    reader->end = bytes + left;
    reader->offset -= bytes;
}

int reader_position(struct ferry_reader *reader, uint64_t *position)
{
    struct ferry_error err;
    int ret = channel_tell(reader->chan, FERRY_READ, position, &err);

    if (reader->error.errnum)
        return reader->error.errnum;
    if (ret < 0)
        return reader_fail_why(reader, ret, &err);
    *position -= buffered(reader);
    return 0;
}

int reader_seek(struct ferry_reader *reader, uint64_t position)
{
    struct ferry_error err;
    uint64_t now;
    int ret = reader_position(reader, &now);

    if (ret == 0 && position < now)
        return ferry_reader_fail(reader, -EPROTO, "the stream would go back to byte %" PRIu64 " of its file", position);
    if (ret < 0)
        return ret;
    ret = channel_seek(reader->chan, FERRY_READ, position, &err);
    if (ret < 0)
        return reader_fail_why(reader, ret, &err);
    reader->start = reader->end = 0;
    reader->ended = false;
    reader->offset += position - now;
    return 0;
}

struct ferry_writer *ferry_reader_return_path(struct ferry_reader *reader, struct ferry_error *err)
{
    if (!(ferry_channel_directions(reader->chan) & FERRY_WRITE)) {
        ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -ENOTSUP, "%s: carries no return path",
                             ferry_channel_label(reader->chan));
        return NULL;
    }
    return ferry_writer_new(reader->chan, err);
}
