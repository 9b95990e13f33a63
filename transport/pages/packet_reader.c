/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_reader.c - packets from a channel: a header, then its payload wherever it belongs */
#include "packet_reader.h"

#include "iov.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* How far ahead a read goes: most headers fit, and copying as much of a payload costs nothing. */
#define AHEAD_BYTES 4096

void packet_reader_init(struct packet_reader *reader, struct ferry_channel *chan, const struct packet_format *format,
                        const struct ram_map *map)
{
    reader->chan = chan;
    reader->format = format;
    reader->map = map;
    reader->offset = reader->packet_at = 0;
    reader->start = reader->end = 0;
}

static int fail_at(const struct packet_reader *reader, uint64_t offset, int errnum, struct ferry_error *err)
{
    if (!err)
        return errnum;
    if (!err->object[0])
        ferry_error_object(err, "%s", ferry_channel_label(reader->chan));
    ferry_error_offset(err, offset);
    ferry_error_prefix(err, "%s: byte %" PRIu64, ferry_channel_label(reader->chan), offset);
    return errnum;
}

int packet_reader_fail(const struct packet_reader *reader, int errnum, struct ferry_error *err)
{
    return fail_at(reader, reader->packet_at, errnum, err);
}

static int ended(const struct packet_reader *reader, size_t missing, struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPIPE,
                         "the stream ends inside of a packet, at least %zu more bytes were expected", missing);
    return fail_at(reader, reader->offset, -EPIPE, err);
}

static ssize_t receive(struct packet_reader *reader, const struct iovec *iov, int count, size_t expect,
                       struct ferry_error *err)
{
    ssize_t done;

    ferry_channel_expect(reader->chan, expect);
    done = ferry_channel_readv(reader->chan, iov, count, err);
    if (done < 0 && err) {
        ferry_error_object(err, "%s", ferry_channel_label(reader->chan));
        ferry_error_offset(err, reader->offset);
    }
    return done;
}

/* Have @need bytes read ahead.  1, or 0: not one came, the stream has ended. */
static int fill(struct packet_reader *reader, size_t need, struct ferry_error *err)
{
    size_t have = reader->end - reader->start;

    if (have >= need)
        return 1;
    memmove(reader->ahead, reader->ahead + reader->start, have);
    reader->start = 0;
    while (have < need) {
        struct iovec iov = { reader->ahead + have, need > AHEAD_BYTES ? need - have : AHEAD_BYTES - have };
        ssize_t done = receive(reader, &iov, 1, need - have, err);

        if (done <= 0) {
            reader->end = have;
            return done < 0 ? (int)done : have == 0 ? 0 : ended(reader, need - have, err);
        }
        have += (size_t)done;
    }
    reader->end = have;
    return 1;
}

int packet_reader_next(struct packet_reader *reader, struct packet *packet, struct ferry_error *err)
{
    size_t head = reader->format->head_bytes, rest;
    int ret = fill(reader, head, err);

    reader->packet_at = reader->offset;
    if (ret <= 0)
        return ret;
    ret = reader->format->decode_head(packet, reader->ahead + reader->start, &rest, err);
    if (ret == 0) {
        ret = fill(reader, head + rest, err);
        if (ret < 0)
            return ret;
        ret = reader->format->decode(packet, reader->map, reader->ahead + reader->start, err);
    }
    if (ret < 0)
        return packet_reader_fail(reader, ret, err);
    reader->start += head + rest;
    reader->offset += head + rest;
    return 1;
}

/* What was read ahead goes first. */
static void drain(struct packet_reader *reader, struct iovec **iov, int *count)
{
    while (*count > 0 && reader->start < reader->end) {
        size_t have = reader->end - reader->start;
        size_t part = have < (*iov)->iov_len ? have : (*iov)->iov_len;

        memcpy((*iov)->iov_base, reader->ahead + reader->start, part);
        reader->start += part;
        reader->offset += part;
        iov_consume(iov, count, part);
    }
}

int packet_reader_payload(struct packet_reader *reader, struct iovec *iov, int count, struct ferry_error *err)
{
    size_t left;

    drain(reader, &iov, &count);
    left = iov_bytes(iov, count);
    while (left > 0) {
        size_t part;
        ssize_t done;

        iov[count] = (struct iovec){ reader->ahead, AHEAD_BYTES };
        done = receive(reader, iov, count + 1, left, err);
        if (done < 0)
            return (int)done;
        if (done == 0)
            return ended(reader, left, err);
        part = (size_t)done < left ? (size_t)done : left;
        reader->start = 0;
        reader->end = (size_t)done - part;
        reader->offset += part;
        left -= part;
        iov_consume(&iov, &count, part);
    }
    return 0;
}
