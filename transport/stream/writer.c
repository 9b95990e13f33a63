/* SPDX-License-Identifier: BSD-3-Clause */
/* writer.c - gathers small values and references, and hands them to the channel in one piece
 *
 *      put_be64   put_ref       put_be64  put_ref
 *         |          \             |         \
 *      small[] |aaaaaaaa bbbbbbbb ...         guest RAM  |page|...|page|
 *                 ^        ^                               ^        ^
 *      iov[]   |  0  |  2  |   ...                      |  1  |  3  | ...       -> writev
 *
 * Small values are copied into an arena; neighbours there, and references that touch in memory, share an element.
 */
#include "writer.h"

#include "bytes.h"
#include "channel.h"
#include "iov.h"
#include "log.h"

#include <errno.h>
#include <ferry/zero_copy.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WRITER_IOVS        1024
#define WRITER_SMALL_BYTES (64u << 10)

struct ferry_writer {
    struct ferry_channel *chan;
    struct ratelimit *limit; /* borrowed, may be NULL */
    enum ratelimit_class class;
    struct ferry_error error; /* the first; errnum 0: none */
    uint64_t offset;          /* bytes put */
    uint64_t flushed;         /* bytes the channel took */
    size_t gathered;          /* bytes in iov[] */
    int count;                /* elements in use */
    size_t small_used;
    struct iovec iov[WRITER_IOVS];
    bool lent[WRITER_IOVS]; /* of each element: it stays after the flush */
    uint8_t small[WRITER_SMALL_BYTES];
};

struct ferry_writer *ferry_writer_new(struct ferry_channel *chan, struct ferry_error *err)
{
    struct ferry_writer *writer = malloc(sizeof(*writer));

    if (!writer) {
        ferry_error_set(err, -ENOMEM, "%s: no memory for a writer", ferry_channel_label(chan));
        return NULL;
    }
    memset(writer, 0, offsetof(struct ferry_writer, iov));
    writer->chan = ferry_channel_ref(chan);
    return writer;
}

void ferry_writer_free(struct ferry_writer *writer)
{
    if (!writer)
        return;
    ferry_channel_unref(writer->chan);
    free(writer);
}

void writer_set_limit(struct ferry_writer *writer, struct ratelimit *limit, enum ratelimit_class class)
{
    writer->limit = limit;
    writer->class = class;
}

uint64_t writer_flushed(const struct ferry_writer *writer)
{
    return writer->flushed;
}

struct ferry_channel *writer_channel(const struct ferry_writer *writer)
{
    return writer->chan;
}

void writer_redirect(struct ferry_writer *writer, struct ferry_channel *chan)
{
    struct ferry_channel *before = writer->chan;

    writer->chan = ferry_channel_ref(chan);
    memset(&writer->error, 0, sizeof(writer->error));
    writer->gathered = 0;
    writer->count = 0;
    writer->small_used = 0;
    ferry_channel_unref(before);
}

uint64_t ferry_writer_offset(const struct ferry_writer *writer)
{
    return writer->offset;
}

void ferry_writer_fail(struct ferry_writer *writer, const struct ferry_error *err)
{
    if (!writer->error.errnum)
        writer->error = *err;
}

int ferry_writer_status(const struct ferry_writer *writer, struct ferry_error *err)
{
    if (writer->error.errnum && err)
        *err = writer->error;
    return writer->error.errnum;
}

/* How many of @count elements from @iov on go the same way: lent or not. */
static int same_way(const struct ferry_writer *writer, const struct iovec *iov, int count)
{
    const bool *lent = writer->lent + (iov - writer->iov);
    int same = 1;

    while (same < count && lent[same] == lent[0])
        same++;
    return same;
}

static bool has_zero_copy(const struct ferry_writer *writer)
{
    struct ferry_zero_copy_figures figures;

    ferry_channel_zero_copy(writer->chan, &figures);
    return figures.state == FERRY_ZERO_COPY_ON;
}

/* Write all of @iov, in pieces as the limit grants them. */
static int write_limited(struct ferry_writer *writer, struct iovec *iov, int count)
{
    bool lending = has_zero_copy(writer);
    size_t granted = 0;

    while (count > 0) {
        size_t cut;
        ssize_t done;
        int used;

        if (granted == 0) {
            granted = iov_bytes(iov, count);
            if (writer->limit)
                granted = ratelimit_draw(writer->limit, writer->class, granted);
        }
        used = iov_limit(iov, lending ? same_way(writer, iov, count) : count, granted, &cut);
        if (lending && writer->lent[iov - writer->iov])
            done = ferry_channel_writev_lent(writer->chan, iov, used, &writer->error);
        else
            done = ferry_channel_writev(writer->chan, iov, used, &writer->error);
        iov_uncut(iov, used, cut);
        if (done < 0)
            return (int)done;
        granted -= (size_t)done;
        writer->flushed += (uint64_t)done;
        iov_consume(&iov, &count, (size_t)done);
    }
    return 0;
}

static int flush(struct ferry_writer *writer)
{
    int ret = writer->error.errnum;

    if (ret == 0 && writer->count > 0)
        ret = write_limited(writer, writer->iov, writer->count);
    if (ret < 0)
        log_debug(LOG_STREAM, "writer stops at byte %" PRIu64 ": %s", writer->offset, writer->error.text);
    writer->count = 0;
    writer->gathered = 0;
    writer->small_used = 0;
    return ret;
}

int ferry_writer_flush(struct ferry_writer *writer, struct ferry_error *err)
{
    flush(writer);
    return ferry_writer_status(writer, err);
}

int writer_position(struct ferry_writer *writer, uint64_t *position, struct ferry_error *err)
{
    int ret = ferry_writer_flush(writer, err);

    return ret == 0 ? channel_tell(writer->chan, FERRY_WRITE, position, err) : ret;
}

int writer_seek(struct ferry_writer *writer, uint64_t position, struct ferry_error *err)
{
    uint64_t now;
    int ret = writer_position(writer, &now, err);

    if (ret == 0)
        ret = channel_seek(writer->chan, FERRY_WRITE, position, err);
    if (ret == 0)
        writer->offset += position - now;
    return ret;
}

/* Append to iov[], joining what touches the last element in memory. */
static void append(struct ferry_writer *writer, const void *data, size_t bytes, bool lent)
{
    struct iovec *last = writer->count > 0 ? &writer->iov[writer->count - 1] : NULL;

    if (last && (const uint8_t *)last->iov_base + last->iov_len == data && writer->lent[writer->count - 1] == lent) {
        last->iov_len += bytes;
    } else {
        writer->iov[writer->count].iov_base = (void *)data;
        writer->iov[writer->count].iov_len = bytes;
        writer->lent[writer->count] = lent;
        writer->count++;
    }
    writer->gathered += bytes;
    writer->offset += bytes;
}

uint8_t *writer_reserve(struct ferry_writer *writer, size_t bytes)
{
    uint8_t *room;

    if (writer->count == WRITER_IOVS || writer->small_used + bytes > WRITER_SMALL_BYTES ||
        writer->gathered >= WRITER_GATHER_BYTES || writer->error.errnum)
        flush(writer);
    room = writer->small + writer->small_used;
    writer->small_used += bytes;
    append(writer, room, bytes, false);
    return room;
}

void ferry_put_u8(struct ferry_writer *writer, uint8_t value)
{
    *writer_reserve(writer, 1) = value;
}

void ferry_put_be16(struct ferry_writer *writer, uint16_t value)
{
    store_be16(writer_reserve(writer, 2), value);
}

void ferry_put_be32(struct ferry_writer *writer, uint32_t value)
{
    store_be32(writer_reserve(writer, 4), value);
}

void ferry_put_be64(struct ferry_writer *writer, uint64_t value)
{
    store_be64(writer_reserve(writer, 8), value);
}

void ferry_put_bytes(struct ferry_writer *writer, const void *data, size_t bytes)
{
    const uint8_t *from = data;

    while (bytes > 0) {
        size_t part = bytes < WRITER_RESERVE_BYTES ? bytes : WRITER_RESERVE_BYTES;

        memcpy(writer_reserve(writer, part), from, part);
        from += part;
        bytes -= part;
    }
}

void ferry_put_cstr8(struct ferry_writer *writer, const char *text)
{
    size_t bytes = strlen(text);

    if (bytes == 0 || bytes > 255) {
        struct ferry_error err;

        ferry_error_set(&err, -EINVAL, "a name of %zu bytes cannot be sent: 1 to 255 fit", bytes);
        ferry_writer_fail(writer, &err);
        return;
    }
    ferry_put_u8(writer, (uint8_t)bytes);
    ferry_put_bytes(writer, text, bytes);
}

static void refer(struct ferry_writer *writer, const void *data, size_t bytes, bool lent)
{
    if (writer->count == WRITER_IOVS || writer->gathered >= WRITER_GATHER_BYTES || writer->error.errnum)
        flush(writer);
    append(writer, data, bytes, lent);
}

void ferry_put_ref(struct ferry_writer *writer, const void *data, size_t bytes)
{
    refer(writer, data, bytes, false);
}

void writer_put_lent(struct ferry_writer *writer, const void *data, size_t bytes)
{
    refer(writer, data, bytes, true);
}

int writer_sync(struct ferry_writer *writer, struct ferry_error *err)
{
    int ret = ferry_writer_flush(writer, err);

    return ret == 0 ? ferry_channel_sync(writer->chan, err) : ret;
}

struct ferry_reader *ferry_writer_return_path(struct ferry_writer *writer, struct ferry_error *err)
{
    if (!(ferry_channel_directions(writer->chan) & FERRY_READ)) {
        ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -ENOTSUP, "%s: carries no return path",
                             ferry_channel_label(writer->chan));
        return NULL;
    }
    return ferry_reader_new(writer->chan, err);
}
