/* SPDX-License-Identifier: BSD-3-Clause */
/* chunk.c - pieces that say how long they are, so that a body knows its end
 *
 *      be32 length, bytes | be32 length, bytes | ... | be32 0
 */
#include <errno.h>
#include <ferry/iterative.h>
#include <inttypes.h>

void ferry_put_chunk(struct ferry_writer *writer, const void *data, size_t bytes)
{
    if (bytes == 0 || bytes > FERRY_CHUNK_MAX) {
        struct ferry_error err;

        ferry_error_set(&err, -EINVAL, "a chunk of %zu bytes cannot be sent: 1 to %u fit", bytes, FERRY_CHUNK_MAX);
        ferry_writer_fail(writer, &err);
        return;
    }
    ferry_put_be32(writer, (uint32_t)bytes);
    ferry_put_bytes(writer, data, bytes);
}

void ferry_put_chunk_end(struct ferry_writer *writer)
{
    ferry_put_be32(writer, 0);
}

/* The next length, within @most. */
static int get_length(struct ferry_reader *reader, uint32_t *bytes, size_t most)
{
    int ret = ferry_get_be32(reader, bytes);

    if (ret == 0 && *bytes > most)
        ret = ferry_reader_fail(reader, -EPROTO, "a chunk of %" PRIu32 " bytes, at most %zu are taken here", *bytes,
                                most);
    return ret;
}

ssize_t ferry_get_chunk(struct ferry_reader *reader, void *to, size_t room)
{
    uint32_t bytes;
    int ret = get_length(reader, &bytes, room < FERRY_CHUNK_MAX ? room : FERRY_CHUNK_MAX);

    if (ret == 0 && bytes > 0)
        ret = ferry_get_bytes(reader, to, bytes);
    return ret < 0 ? ret : (ssize_t)bytes;
}

int ferry_skip_chunks(struct ferry_reader *reader)
{
    uint32_t bytes = 1;
    int ret = 0;

    while (ret == 0 && bytes > 0) {
        ret = get_length(reader, &bytes, FERRY_CHUNK_MAX);
        if (ret == 0)
            ret = ferry_reader_skip(reader, bytes);
    }
    return ret;
}
