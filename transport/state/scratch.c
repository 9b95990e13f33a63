/* SPDX-License-Identifier: BSD-3-Clause */
/* scratch.c - an encoding of the embedder's own, as bytes in memory */
#include "scratch.h"

#include <errno.h>
#include <ferry/channel.h>
#include <ferry/stream.h>
#include <stdlib.h>
#include <string.h>

int scratch_put(const struct ferry_custom *custom, const void *value, size_t size, uint8_t **data, size_t *bytes,
                struct ferry_error *err)
{
    struct ferry_channel *channel = ferry_channel_buffer_writer(SCRATCH_LIMIT_BYTES, err);
    struct ferry_writer *writer = channel ? ferry_writer_new(channel, err) : NULL;
    const void *put;
    int rc = -ENOMEM;

    if (!writer)
        goto out;
    rc = custom->put(writer, value, size, err);
    if (rc == 0)
        rc = ferry_writer_flush(writer, err);
    if (rc < 0)
        goto out;
    put = ferry_channel_buffer_data(channel, bytes);
    *data = malloc(*bytes ? *bytes : 1);
    if (!*data)
        rc = ferry_error_set(err, -ENOMEM, "out of memory for %zu bytes", *bytes);
    else if (*bytes)
        memcpy(*data, put, *bytes);
out:
    ferry_writer_free(writer);
    ferry_channel_unref(channel);
    return rc;
}

int scratch_get(const struct ferry_custom *custom, void *value, size_t size, const uint8_t *data, size_t bytes,
                struct ferry_error *err)
{
    struct ferry_channel *channel = ferry_channel_buffer_reader(data, bytes, err);
    struct ferry_reader *reader = channel ? ferry_reader_new(channel, err) : NULL;
    int rc = -ENOMEM;

    if (!reader)
        goto out;
    rc = custom->get(reader, value, size, err);
    if (rc == 0)
        rc = ferry_reader_status(reader, err);
    if (rc == 0 && ferry_reader_offset(reader) != bytes)
        rc = ferry_error_set(err, -EPROTO, "%zu bytes, of which %zu were used", bytes,
                             (size_t)ferry_reader_offset(reader));
out:
    ferry_reader_free(reader);
    ferry_channel_unref(channel);
    return rc;
}
