/* SPDX-License-Identifier: BSD-3-Clause */
/* hello.c - hello and answer as bytes in memory; no transfers here
 *
 *      hello   magic:4 lowest:2 highest:2 length:4 | session:16 nonce:16 role:1 index:1 connections:2 protocol:8
 * device:8 options answer  magic:4 version:2 code:2 length:4   | nonce:16 protocol:8 device:8 options          (code 0)
 *                                                  | length:2 sentence length:2 hint               (any other)
 *      option  type:2 length:2 value
 */
#include "hello.h"

#include "bytes.h"
#include "printable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define HELLO_MAGIC       0x46524859 /* "FRHY" */
#define ANSWER_MAGIC      0x46524841 /* "FRHA" */
#define QEMU_MAGIC        0x5145564d /* "QEVM" */
#define QEMU_PAGES_MAGIC  0x11223344
#define OPTION_HEAD_BYTES 4

/* What is left of a message; nothing is taken from it that is not there. */
struct rest {
    const uint8_t *at;
    size_t bytes;
};

static const uint8_t *take(struct rest *rest, size_t bytes)
{
    const uint8_t *at = rest->at;

    if (bytes > rest->bytes)
        return NULL;
    rest->at += bytes;
    rest->bytes -= bytes;
    return at;
}

const char *hello_role_name(enum hello_role role)
{
    switch (role) {
    case HELLO_MAIN:
        return "main";
    case HELLO_PAGES:
        return "pages";
    case HELLO_URGENT:
        return "urgent";
    case HELLO_PROBE:
        return "probe";
    case HELLO_RESUME:
        return "resume";
    }
    return "unknown";
}

static uint8_t *put_head(uint8_t *out, uint32_t magic, uint16_t first, uint16_t second, size_t length)
{
    store_be32(out, magic);
    store_be16(out + 4, first);
    store_be16(out + 6, second);
    store_be32(out + 8, (uint32_t)length);
    return out + HELLO_HEAD_BYTES;
}

/* Is @in one message with this magic, as long as it says? */
static int get_head(const uint8_t *in, size_t bytes, uint32_t magic, size_t max_bytes, struct rest *rest,
                    struct ferry_error *err)
{
    if (bytes < HELLO_HEAD_BYTES)
        return ferry_error_set(err, -EPROTO, "%zu bytes are too few for a head", bytes);
    if (load_be32(in) != magic)
        return ferry_error_set(err, -EPROTO, "begins with %#" PRIx32 " instead of %#" PRIx32, load_be32(in), magic);
    if (load_be32(in + 8) > max_bytes - HELLO_HEAD_BYTES)
        return ferry_error_set(err, -EPROTO, "%" PRIu32 " bytes are too many, at most %zu may follow",
                               load_be32(in + 8), max_bytes - HELLO_HEAD_BYTES);
    if (load_be32(in + 8) != bytes - HELLO_HEAD_BYTES)
        return ferry_error_set(err, -EPROTO, "says that %" PRIu32 " bytes follow, %zu do", load_be32(in + 8),
                               bytes - HELLO_HEAD_BYTES);
    *rest = (struct rest){ in + HELLO_HEAD_BYTES, bytes - HELLO_HEAD_BYTES };
    return 0;
}

static int within(const char *message, int ret, struct ferry_error *err)
{
    ferry_error_prefix(err, "%s", message);
    return ret;
}

/* No option has a meaning yet; one of a later release is passed over. */
static int check_options(struct rest rest, struct ferry_error *err)
{
    while (rest.bytes > 0) {
        const uint8_t *head = take(&rest, OPTION_HEAD_BYTES);

        if (!head)
            return ferry_error_set(err, -EPROTO, "an option is cut off");
        if (load_be16(head) == 0)
            return ferry_error_set(err, -EPROTO, "an option of type 0");
        if (!take(&rest, load_be16(head + 2)))
            return ferry_error_set(err, -EPROTO, "option %u has %u bytes, %zu are there", load_be16(head),
                                   load_be16(head + 2), rest.bytes);
    }
    return 0;
}

size_t hello_encode(const struct hello *hello, uint8_t out[HELLO_BYTES])
{
    uint8_t *at = put_head(out, HELLO_MAGIC, hello->lowest, hello->highest, HELLO_BYTES - HELLO_HEAD_BYTES);

    memcpy(at, hello->session, HELLO_ID_BYTES);
    memcpy(at + 16, hello->nonce, HELLO_ID_BYTES);
    at[32] = (uint8_t)hello->role;
    at[33] = hello->index;
    store_be16(at + 34, hello->connections);
    store_be64(at + 36, hello->protocol);
    store_be64(at + 44, hello->device);
    return HELLO_BYTES;
}

int hello_decode(const uint8_t *in, size_t bytes, struct hello *hello, struct ferry_error *err)
{
    struct hello got = { 0 };
    struct rest rest;
    const uint8_t *body;
    int ret = get_head(in, bytes, HELLO_MAGIC, HELLO_MAX_BYTES, &rest, err);

    if (ret < 0)
        return within("hello", ret, err);
    body = take(&rest, HELLO_BYTES - HELLO_HEAD_BYTES);
    if (!body)
        return ferry_error_set(err, -EPROTO, "hello: %zu bytes are too few", rest.bytes);
    got.lowest = load_be16(in + 4);
    got.highest = load_be16(in + 6);
    if (got.lowest == 0 || got.lowest > got.highest)
        return ferry_error_set(err, -EPROTO, "hello: versions %u to %u", got.lowest, got.highest);
    memcpy(got.session, body, HELLO_ID_BYTES);
    memcpy(got.nonce, body + 16, HELLO_ID_BYTES);
    got.role = body[32];
    got.index = body[33];
    got.connections = load_be16(body + 34);
    got.protocol = load_be64(body + 36);
    got.device = load_be64(body + 44);
    ret = check_options(rest, err);
    if (ret < 0)
        return within("hello", ret, err);
    *hello = got;
    return 0;
}

size_t hello_encode_answer(const struct hello_answer *answer, uint8_t out[ANSWER_BYTES])
{
    uint8_t *at = put_head(out, ANSWER_MAGIC, answer->version, HELLO_AGREED, ANSWER_BYTES - HELLO_HEAD_BYTES);

    memcpy(at, answer->nonce, HELLO_ID_BYTES);
    store_be64(at + 16, answer->protocol);
    store_be64(at + 24, answer->device);
    return ANSWER_BYTES;
}

/* Ours are far below HELLO_TEXT_BYTES. */
static uint8_t *put_text(uint8_t *at, const char *text, size_t room)
{
    size_t bytes = strnlen(text, room);

    store_be16(at, (uint16_t)bytes);
    memcpy(at + 2, text, bytes);
    return at + 2 + bytes;
}

size_t hello_encode_refusal(const struct hello_refusal *refusal, uint8_t out[ANSWER_MAX_BYTES])
{
    uint8_t *at = put_text(out + HELLO_HEAD_BYTES, refusal->why.text, sizeof(refusal->why.text));

    at = put_text(at, refusal->why.hint, sizeof(refusal->why.hint));
    put_head(out, ANSWER_MAGIC, 0, (uint16_t)refusal->code, (size_t)(at - out) - HELLO_HEAD_BYTES);
    return (size_t)(at - out);
}

/* A text of the peer's goes to people's terminals: only what is harmless there. */
static int get_text(struct rest *rest, char *to, size_t room)
{
    const uint8_t *head = take(rest, 2), *text;
    size_t bytes;

    if (!head)
        return -EPROTO;
    bytes = load_be16(head);
    text = bytes > HELLO_TEXT_BYTES ? NULL : take(rest, bytes);
    if (!text)
        return -EPROTO;
    printable(to, room, (const char *)text, bytes);
    return 0;
}

/* What a refusal is among all that can go wrong. */
static enum ferry_code code_of(enum hello_code code)
{
    switch (code) {
    case HELLO_NO_VERSION:
        return FERRY_E_PROTOCOL_VERSION;
    case HELLO_FOREIGN:
        return FERRY_E_NOT_A_STREAM;
    case HELLO_DUPLICATE:
    case HELLO_STRAY:
    case HELLO_TOO_MANY:
    case HELLO_CLOSED:
        return FERRY_E_FOREIGN_CONNECTION;
    case HELLO_TOO_LATE:
        return FERRY_E_OUT_OF_TIME;
    default:
        return FERRY_E_BAD_HELLO;
    }
}

static int get_refusal(struct rest rest, enum hello_code code, struct hello_refusal *refusal, struct ferry_error *err)
{
    struct ferry_error why = { .errnum = -EPERM, .code = code_of(code), .offset = -1 };

    if (get_text(&rest, why.text, sizeof(why.text)) < 0 || get_text(&rest, why.hint, sizeof(why.hint)) < 0 ||
        rest.bytes > 0)
        return ferry_error_set(err, -EPROTO, "answer: a refusal (code %d) whose text is not whole", (int)code);
    refusal->code = code;
    refusal->why = why;
    return 0;
}

static int get_agreed(struct rest rest, uint16_t version, struct hello_answer *answer, struct ferry_error *err)
{
    const uint8_t *body = take(&rest, ANSWER_BYTES - HELLO_HEAD_BYTES);
    int ret;

    if (!body)
        return ferry_error_set(err, -EPROTO, "answer: %zu bytes are too few", rest.bytes);
    if (version == 0)
        return ferry_error_set(err, -EPROTO, "answer: agrees to version 0");
    ret = check_options(rest, err);
    if (ret < 0)
        return within("answer", ret, err);
    answer->version = version;
    memcpy(answer->nonce, body, HELLO_ID_BYTES);
    answer->protocol = load_be64(body + 16);
    answer->device = load_be64(body + 24);
    return 0;
}

int hello_decode_answer(const uint8_t *in, size_t bytes, struct hello_answer *answer, struct hello_refusal *refusal,
                        struct ferry_error *err)
{
    struct rest rest;
    int ret = get_head(in, bytes, ANSWER_MAGIC, ANSWER_MAX_BYTES, &rest, err);

    if (ret < 0)
        return within("answer", ret, err);
    if (load_be16(in + 6) != HELLO_AGREED)
        return get_refusal(rest, load_be16(in + 6), refusal, err);
    ret = get_agreed(rest, load_be16(in + 4), answer, err);
    if (ret == 0)
        refusal->code = HELLO_AGREED;
    return ret;
}

enum hello_kind hello_detect(const uint8_t first[HELLO_PEEK_BYTES])
{
    switch (load_be32(first)) {
    case HELLO_MAGIC:
        return HELLO_KIND_FERRY;
    case QEMU_MAGIC:
        return HELLO_KIND_QEMU;
    case QEMU_PAGES_MAGIC:
        return HELLO_KIND_QEMU_PAGES;
    }
    return HELLO_KIND_UNKNOWN;
}

bool hello_is_answer(const uint8_t first[HELLO_PEEK_BYTES])
{
    return load_be32(first) == ANSWER_MAGIC;
}

int hello_unknown(const char *label, const uint8_t first[HELLO_PEEK_BYTES], struct ferry_error *err)
{
    if (hello_detect(first) == HELLO_KIND_QEMU_PAGES) {
        ferry_error_set_code(err, FERRY_E_FOREIGN_CONNECTION, -EPROTO,
                             "%s: a page connection of a QEMU (multifd) without its main connection", label);
        ferry_error_hint(err, "set multifd off in that QEMU");
    } else {
        ferry_error_set_code(err, FERRY_E_NOT_A_STREAM, -EPROTO,
                             "%s: not a migration stream: begins with %02x %02x %02x %02x", label, first[0], first[1],
                             first[2], first[3]);
        ferry_error_offset(err, 0);
    }
    ferry_error_object(err, "%s", label);
    return -EPROTO;
}

uint16_t hello_choose_version(const struct hello *hello, struct hello_refusal *refusal)
{
    uint16_t highest = hello->highest < HELLO_VERSION ? hello->highest : HELLO_VERSION;

    if (highest >= hello->lowest)
        return highest;
    hello_refusal_set(refusal, HELLO_NO_VERSION, "no common version: the source speaks %u to %u, the destination %d",
                      hello->lowest, hello->highest, HELLO_VERSION);
    ferry_error_hint(&refusal->why, "update the older of the two");
    return 0;
}

int hello_refusal_set(struct hello_refusal *refusal, enum hello_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    refusal->code = code;
    ferry_error_vset(&refusal->why, -EPROTO, format, args);
    va_end(args);
    ferry_error_code(&refusal->why, code_of(code));
    return -EPROTO;
}

int hello_random(uint8_t to[HELLO_ID_BYTES], struct ferry_error *err)
{
    if (getrandom(to, HELLO_ID_BYTES, 0) == HELLO_ID_BYTES) /* so few bytes come whole or not at all */
        return 0;
    return ferry_error_set(err, -EIO, "the kernel gives no random numbers");
}
