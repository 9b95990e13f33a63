/* SPDX-License-Identifier: BSD-3-Clause */
/* buffer.c - channels over memory: one that reads what is there, one that collects what is written */
#include "channel.h"

#include "iov.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 4096

struct buffer_channel {
    struct ferry_channel base;
    const uint8_t *data; /* reader: borrowed; writer: the same as grown */
    uint8_t *grown;      /* owned */
    size_t bytes;        /* how many are there */
    size_t position;     /* reader: how many were read */
    size_t room, limit;  /* writer: allocated, and allowed */
};

static struct buffer_channel *buffer_of(struct ferry_channel *chan)
{
    return (struct buffer_channel *)chan;
}

static ssize_t buffer_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct buffer_channel *buffer = buffer_of(chan);
    size_t done = 0;

    (void)err;
    for (int i = 0; i < count; i++) {
        size_t part = buffer->bytes - buffer->position;

        if (part > iov[i].iov_len)
            part = iov[i].iov_len;
        if (part == 0)
            continue;
        memcpy(iov[i].iov_base, buffer->data + buffer->position, part);
        buffer->position += part;
        done += part;
    }
    return (ssize_t)done;
}

static int grow(struct buffer_channel *buffer, size_t bytes, struct ferry_error *err)
{
    size_t room = buffer->room ? buffer->room : FIRST_BYTES;
    uint8_t *grown;

    if (bytes <= buffer->room)
        return 0;
    while (room < bytes)
        room = room > buffer->limit / 2 ? buffer->limit : room * 2;
    grown = realloc(buffer->grown, room);
    if (!grown)
        return channel_errno(buffer->base.label, -ENOMEM, err);
    buffer->data = buffer->grown = grown;
    buffer->room = room;
    return 0;
}

static ssize_t buffer_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct buffer_channel *buffer = buffer_of(chan);
    size_t left = buffer->limit - buffer->bytes;
    size_t bytes = 0;
    int ret;

    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > left - bytes)
            return ferry_error_set(err, -ENOSPC, "%s: full: its limit is %zu bytes", chan->label, buffer->limit);
        bytes += iov[i].iov_len;
    }
    ret = grow(buffer, buffer->bytes + bytes, err);
    if (ret < 0)
        return ret;
    iov_copy_from(buffer->grown + buffer->bytes, bytes, iov, count, 0);
    buffer->bytes += bytes;
    return (ssize_t)bytes;
}

static void buffer_close(struct ferry_channel *chan)
{
    free(buffer_of(chan)->grown);
}

static const struct channel_ops buffer_reader_ops = {
    .readv = buffer_readv,
};

static const struct channel_ops buffer_writer_ops = {
    .writev = buffer_writev,
    .close = buffer_close,
};

struct ferry_channel *ferry_channel_buffer_reader(const void *data, size_t bytes, struct ferry_error *err)
{
    struct buffer_channel *buffer = channel_new(sizeof(*buffer), &buffer_reader_ops, FERRY_READ, "buffer", err);

    if (!buffer)
        return NULL;
    buffer->data = data;
    buffer->bytes = bytes;
    return &buffer->base;
}

struct ferry_channel *ferry_channel_buffer_writer(size_t limit, struct ferry_error *err)
{
    struct buffer_channel *buffer = channel_new(sizeof(*buffer), &buffer_writer_ops, FERRY_WRITE, "buffer", err);

    if (!buffer)
        return NULL;
    buffer->limit = limit;
    return &buffer->base;
}

const void *ferry_channel_buffer_data(const struct ferry_channel *chan, size_t *bytes)
{
    const struct buffer_channel *buffer = (const struct buffer_channel *)chan;

    if (chan->ops != &buffer_writer_ops) {
        *bytes = 0;
        return NULL;
    }
    *bytes = buffer->bytes;
    return buffer->data;
}
