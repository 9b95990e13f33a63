/* SPDX-License-Identifier: BSD-3-Clause */
/* error_wire.c - an error as bytes, so that both ends report the one that came first */
#include "error_wire.h"

#include "bytes.h"
#include "printable.h"

#include <errno.h>
#include <string.h>

#define HEAD_BYTES 4

enum part {
    PART_CODE = 1,
    PART_SIDE = 2,
    PART_PHASE = 3,
    PART_OBJECT = 4,
    PART_OFFSET = 5,
    PART_TEXT = 6,
    PART_HINT = 7,
};

/* ---- out ------------------------------------------------------------------------------------------------------- */

struct out {
    uint8_t *to;
    size_t room, used;
};

static void put(struct out *out, enum part part, const void *value, size_t bytes)
{
    if (out->room - out->used < HEAD_BYTES + bytes)
        return;
    store_be16(out->to + out->used, (uint16_t)part);
    store_be16(out->to + out->used + 2, (uint16_t)bytes);
    memcpy(out->to + out->used + HEAD_BYTES, value, bytes);
    out->used += HEAD_BYTES + bytes;
}

static void put_text(struct out *out, enum part part, const char *text)
{
    if (text[0])
        put(out, part, text, strlen(text));
}

size_t error_encode(const struct ferry_error *err, uint8_t *to, size_t room)
{
    struct out out = { .to = to, .room = room };
    uint8_t code[2], side = (uint8_t)err->side, offset[8];

    store_be16(code, (uint16_t)(err->code ? err->code : FERRY_E_INTERNAL));
    put(&out, PART_CODE, code, sizeof(code));
    if (err->side != FERRY_SIDE_UNKNOWN)
        put(&out, PART_SIDE, &side, sizeof(side));
    put_text(&out, PART_PHASE, err->phase);
    put_text(&out, PART_OBJECT, err->object);
    store_be64(offset, (uint64_t)err->offset);
    if (err->offset >= 0)
        put(&out, PART_OFFSET, offset, sizeof(offset));
    put_text(&out, PART_TEXT, err->text);
    put_text(&out, PART_HINT, err->hint);
    return out.used;
}

/* ---- back ------------------------------------------------------------------------------------------------------ */

/* Where the guest is each end knows for itself: what the other says of that is news, not this end's verdict. */
static bool is_verdict(int errnum)
{
    return errnum == -EOWNERDEAD || errnum == -ENOTRECOVERABLE;
}

static int get_code(struct ferry_error *err, const uint8_t *value)
{
    const struct ferry_code_info *info;

    err->code = (enum ferry_code)load_be16(value);
    info = ferry_code_info(err->code);
    err->errnum = info && !is_verdict(info->errnum) ? info->errnum : -EREMOTEIO;
    return err->code == FERRY_E_NONE ? -EPROTO : 0;
}

/* A side that is not known here is no reason not to hear the rest. */
static void get_side(struct ferry_error *err, uint8_t side)
{
    if (side == FERRY_SIDE_SOURCE || side == FERRY_SIDE_DESTINATION)
        err->side = (enum ferry_side)side;
}

static void get_text(char *to, size_t room, const uint8_t *value, size_t bytes)
{
    printable(to, room, (const char *)value, bytes);
}

static int get_part(struct ferry_error *err, uint16_t part, const uint8_t *value, size_t bytes)
{
    switch (part) {
    case 0:
        return -EPROTO;
    case PART_CODE:
        return bytes == 2 ? get_code(err, value) : -EPROTO;
    case PART_SIDE:
        if (bytes != 1)
            return -EPROTO;
        get_side(err, value[0]);
        return 0;
    case PART_OFFSET:
        if (bytes != 8)
            return -EPROTO;
        ferry_error_offset(err, load_be64(value));
        return 0;
    case PART_PHASE:
        get_text(err->phase, sizeof(err->phase), value, bytes);
        return 0;
    case PART_OBJECT:
        get_text(err->object, sizeof(err->object), value, bytes);
        return 0;
    case PART_TEXT:
        get_text(err->text, sizeof(err->text), value, bytes);
        return 0;
    case PART_HINT:
        get_text(err->hint, sizeof(err->hint), value, bytes);
        return 0;
    default:
        return 0;
    }
}

int error_decode(const uint8_t *from, size_t bytes, struct ferry_error *out)
{
    struct ferry_error err = { .offset = -1, .from_peer = true };
    const struct ferry_code_info *info;
    uint32_t seen = 0;

    while (bytes > 0) {
        uint16_t part, length;
        uint32_t bit;

        if (bytes < HEAD_BYTES)
            return -EPROTO;
        part = load_be16(from);
        length = load_be16(from + 2);
        bit = part <= PART_HINT ? UINT32_C(1) << part : 0;
        if (length > bytes - HEAD_BYTES || (seen & bit) || get_part(&err, part, from + HEAD_BYTES, length) < 0)
            return -EPROTO;
        seen |= bit;
        from += HEAD_BYTES + length;
        bytes -= HEAD_BYTES + length;
    }
    if (err.code == FERRY_E_NONE)
        return -EPROTO;
    info = ferry_code_info(err.code);
    if (!err.text[0])
        get_text(err.text, sizeof(err.text), (const uint8_t *)(info ? info->summary : "the other end failed"), 128);
    *out = err;
    return 0;
}
