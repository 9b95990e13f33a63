/* SPDX-License-Identifier: BSD-3-Clause */
/* return_path.c - messages from destination to source
 *
 * rp_mutex covers a message from its first byte to the flush behind its last, so that what two threads send never
 * interleaves.  It is a leaf: nothing else is taken while it is held.
 */
#include "return_path.h"

#include "bytes.h"
#include "reader.h"
#include "writer.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BITMAP_END UINT64_C(0x0123456789abcdef)

struct return_path {
    pthread_mutex_t rp_mutex; /* guards writer */
    struct ferry_writer *writer;
};

struct return_path *return_path_open(struct ferry_reader *reader, struct ferry_error *err)
{
    struct return_path *path = calloc(1, sizeof(*path));

    if (!path) {
        ferry_error_set(err, -ENOMEM, "no memory for the return path");
        return NULL;
    }
    pthread_mutex_init(&path->rp_mutex, NULL);
    path->writer = ferry_reader_return_path(reader, err);
    if (path->writer)
        return path;
    return_path_free(path);
    return NULL;
}

void return_path_free(struct return_path *path)
{
    if (!path)
        return;
    ferry_writer_free(path->writer);
    pthread_mutex_destroy(&path->rp_mutex);
    free(path);
}

int return_path_send(struct return_path *path, enum return_path_type type, const void *payload, size_t bytes,
                     struct ferry_error *err)
{
    int ret;

    if (bytes > RETURN_PATH_FERRY_MAX)
        return ferry_error_set(err, -EMSGSIZE, "a message of %zu bytes does not fit the return path", bytes);
    pthread_mutex_lock(&path->rp_mutex);
    ferry_put_be16(path->writer, (uint16_t)type);
    ferry_put_be16(path->writer, (uint16_t)bytes);
    ferry_put_bytes(path->writer, payload, bytes);
    ret = ferry_writer_flush(path->writer, err);
    pthread_mutex_unlock(&path->rp_mutex);
    return ret;
}

int return_path_finish(struct return_path *path, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&path->rp_mutex);
    ret = ferry_channel_finish(writer_channel(path->writer), err);
    pthread_mutex_unlock(&path->rp_mutex);
    return ret;
}

static int send_be32(struct return_path *path, enum return_path_type type, uint32_t value, struct ferry_error *err)
{
    uint8_t payload[4];

    store_be32(payload, value);
    return return_path_send(path, type, payload, sizeof(payload), err);
}

int return_path_pong(struct return_path *path, uint32_t cookie, struct ferry_error *err)
{
    return send_be32(path, RETURN_PATH_PONG, cookie, err);
}

int return_path_shut(struct return_path *path, uint32_t status, struct ferry_error *err)
{
    return send_be32(path, RETURN_PATH_SHUT, status, err);
}

int return_path_counter(struct return_path *path, enum return_path_type type, uint64_t value, struct ferry_error *err)
{
    uint8_t payload[8];

    store_be64(payload, value);
    return return_path_send(path, type, payload, sizeof(payload), err);
}

int return_path_token(struct return_path *path, enum return_path_type type,
                      const uint8_t token[RETURN_PATH_TOKEN_BYTES], uint64_t ns, struct ferry_error *err)
{
    uint8_t payload[RETURN_PATH_TOKEN_BYTES + 8];

    memcpy(payload, token, RETURN_PATH_TOKEN_BYTES);
    store_be64(payload + RETURN_PATH_TOKEN_BYTES, ns);
    return return_path_send(path, type, payload, sizeof(payload), err);
}

int return_path_declined(struct return_path *path, const uint8_t token[RETURN_PATH_TOKEN_BYTES],
                         struct ferry_error *err)
{
    return return_path_send(path, RETURN_PATH_DECLINED, token, RETURN_PATH_TOKEN_BYTES, err);
}

size_t return_path_bitmap_bytes(uint64_t pages)
{
    return (pages / 64 + (pages % 64 != 0)) * sizeof(uint64_t);
}

/* Of the last word. */
static uint64_t pages_mask(uint64_t pages)
{
    return pages % 64 ? (UINT64_C(1) << (pages % 64)) - 1 : UINT64_MAX;
}

/* The bytes lie as they do here, where the least significant comes first. */
static uint64_t turn_word(uint64_t word)
{
    return htole64(word);
}

int return_path_bitmap(struct return_path *path, const char *block, const uint64_t *words, uint64_t pages,
                       struct ferry_error *err)
{
    size_t name = strlen(block), bytes = return_path_bitmap_bytes(pages), count = bytes / sizeof(*words);
    int ret;

    if (name == 0 || name > 255)
        return ferry_error_set(err, -EINVAL, "a block name of %zu bytes", name);
    pthread_mutex_lock(&path->rp_mutex);
    ferry_put_be16(path->writer, RETURN_PATH_RECV_BITMAP);
    ferry_put_be16(path->writer, (uint16_t)(1 + name));
    ferry_put_cstr8(path->writer, block);
    ferry_put_be64(path->writer, bytes);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = turn_word(i == count - 1 ? words[i] & pages_mask(pages) : words[i]);

        ferry_put_bytes(path->writer, &word, sizeof(word));
    }
    ferry_put_be64(path->writer, BITMAP_END);
    ret = ferry_writer_flush(path->writer, err);
    pthread_mutex_unlock(&path->rp_mutex);
    return ret;
}

void return_path_redirect(struct return_path *path, struct ferry_channel *chan)
{
    pthread_mutex_lock(&path->rp_mutex);
    writer_redirect(path->writer, chan);
    pthread_mutex_unlock(&path->rp_mutex);
}

int return_path_request(struct return_path *path, const char *block, uint64_t start, uint32_t length,
                        struct ferry_error *err)
{
    uint8_t payload[12 + 1 + 255];
    size_t name = block ? strlen(block) : 0;

    if (name > 255)
        return ferry_error_set(err, -EINVAL, "a block name of %zu bytes", name);
    store_be64(payload, start);
    store_be32(payload + 8, length);
    if (!block)
        return return_path_send(path, RETURN_PATH_REQ_PAGES, payload, 12, err);
    payload[12] = (uint8_t)name;
    memcpy(payload + 13, block, name);
    return return_path_send(path, RETURN_PATH_REQ_PAGES_ID, payload, 13 + name, err);
}

/* ---- receiving ------------------------------------------------------------------------------------------------- */

static void decode_be32(struct return_path_message *message)
{
    message->value = load_be32(message->payload);
}

static void decode_counter(struct return_path_message *message)
{
    message->counter = load_be64(message->payload);
}

static void decode_declined(struct return_path_message *message)
{
    memcpy(message->token, message->payload, sizeof(message->token));
}

static void decode_token(struct return_path_message *message)
{
    decode_declined(message);
    message->counter = load_be64(message->payload + sizeof(message->token));
}

static void decode_range(struct return_path_message *message)
{
    message->counter = load_be64(message->payload);
    message->length = load_be32(message->payload + 8);
}

/* What is legal: the least and the most bytes, and where a name with its length byte stands (0: there is none). */
static const struct row {
    uint16_t type;
    const char *name;
    uint16_t least, most;
    int name_at; /* -1: none */
    void (*decode)(struct return_path_message *message);
} rows[] = {
    { RETURN_PATH_SHUT, "shut", 4, 4, -1, decode_be32 },
    { RETURN_PATH_PONG, "pong", 4, 4, -1, decode_be32 },
    { RETURN_PATH_REQ_PAGES_ID, "req-pages-id", 14, 12 + 256, 12, decode_range },
    { RETURN_PATH_REQ_PAGES, "req-pages", 12, 12, -1, decode_range },
    { RETURN_PATH_RECV_BITMAP, "recv-bitmap", 2, 256, 0, NULL },
    { RETURN_PATH_RESUME_ACK, "resume-ack", 4, 4, -1, decode_be32 },
    { RETURN_PATH_SWITCHOVER_ACK, "switchover-ack", 0, 0, -1, NULL },
    { RETURN_PATH_AGREED, "agreed", 0, RETURN_PATH_FERRY_MAX, -1, NULL },
    { RETURN_PATH_REFUSED, "refused", 2, RETURN_PATH_FERRY_MAX, -1, NULL },
    { RETURN_PATH_READY, "ready", 24, 24, -1, decode_token },
    { RETURN_PATH_RUNNING, "running", 24, 24, -1, decode_token },
    { RETURN_PATH_WATERMARK, "watermark", 8, 8, -1, decode_counter },
    { RETURN_PATH_HEARTBEAT, "heartbeat", 8, 8, -1, decode_counter },
    { RETURN_PATH_ERROR, "error", 1, RETURN_PATH_FERRY_MAX, -1, NULL },
    { RETURN_PATH_DECLINED, "declined", 16, 16, -1, decode_declined },
};

static const struct row *find_row(uint16_t type)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].type == type)
            return &rows[i];
    return NULL;
}

const char *return_path_type_name(uint16_t type)
{
    const struct row *row = find_row(type);

    return row ? row->name : "unknown";
}

/* The name that ends the payload, with a length byte in front that must agree with the message's length. */
static int decode_name(struct ferry_reader *reader, const struct row *row, struct return_path_message *message)
{
    size_t at = (size_t)row->name_at, bytes = message->payload[at];

    if (bytes == 0 || at + 1 + bytes != message->bytes || memchr(message->payload + at + 1, '\0', bytes))
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: %s with a broken block name", row->name);
    memcpy(message->block, message->payload + at + 1, bytes);
    message->block[bytes] = '\0';
    return 0;
}

int return_path_get(struct ferry_reader *reader, struct return_path_message *message)
{
    const struct row *row;
    int ret = ferry_get_be16(reader, &message->type);

    if (ret == 0)
        ret = ferry_get_be16(reader, &message->bytes);
    if (ret < 0)
        return ret;
    row = find_row(message->type);
    if (!row)
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: a message of unknown type 0x%04x", message->type);
    if (message->bytes < row->least || message->bytes > row->most)
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: %s with %u bytes instead of %u to %u", row->name, message->bytes,
                                row->least, row->most);
    ret = ferry_get_bytes(reader, message->payload, message->bytes);
    if (ret < 0)
        return ret;
    if (row->decode)
        row->decode(message);
    return row->name_at >= 0 ? decode_name(reader, row, message) : 0;
}

int return_path_get_bitmap(struct ferry_reader *reader, uint64_t pages, uint64_t *words)
{
    size_t bytes = return_path_bitmap_bytes(pages), count = bytes / sizeof(*words);
    uint64_t said, end;
    int ret = ferry_get_be64(reader, &said);

    if (ret == 0 && said != bytes)
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: recv-bitmap with %" PRIu64 " bytes, the block needs %zu", said, bytes);
    if (ret == 0)
        ret = ferry_get_bytes(reader, words, bytes);
    if (ret == 0)
        ret = ferry_get_be64(reader, &end);
    if (ret < 0)
        return ret;
    if (end != BITMAP_END)
        return reader_fail_code(reader, FERRY_E_BAD_RETURN_MESSAGE, NULL, -EPROTO,
                                "return path: recv-bitmap ends with 0x%" PRIx64, end);
    for (size_t i = 0; i < count; i++)
        words[i] = turn_word(words[i]);
    if (count > 0)
        words[count - 1] &= pages_mask(pages);
    return 0;
}
