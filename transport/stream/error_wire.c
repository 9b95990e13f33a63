/* SPDX-License-Identifier: BSD-3-Clause */
/* error_wire.c - why one side failed, as bytes for the other */
#include "error_wire.h"

#include "bytes.h"
#include "printable.h"

#include <errno.h>
#include <string.h>

#define HEAD_BYTES 4

struct buffer {
    uint8_t *to;
    size_t used, room;
};

static void put(struct buffer *out, enum error_wire_type type, const void *value, size_t bytes)
{
    if (bytes == 0)
        return;
    if (out->used + HEAD_BYTES + bytes > out->room) {
        out->room = 0;
        return;
    }
    store_be16(out->to + out->used, (uint16_t)type);
    store_be16(out->to + out->used + 2, (uint16_t)bytes);
    memcpy(out->to + out->used + HEAD_BYTES, value, bytes);
    out->used += HEAD_BYTES + bytes;
}

size_t error_encode(const struct ferry_error *err, uint8_t *to, size_t room)
{
    struct buffer out = { .to = to, .room = room };
    uint8_t code[2], side = (uint8_t)err->side, offset[8];

    store_be16(code, (uint16_t)err->code);
    store_be64(offset, (uint64_t)err->offset);
    put(&out, ERROR_WIRE_CODE, code, sizeof(code));
    put(&out, ERROR_WIRE_SIDE, &side, sizeof(side));
    put(&out, ERROR_WIRE_PHASE, err->phase, strnlen(err->phase, sizeof(err->phase)));
    put(&out, ERROR_WIRE_OBJECT, err->object, strnlen(err->object, sizeof(err->object)));
    if (err->offset >= 0)
        put(&out, ERROR_WIRE_OFFSET, offset, sizeof(offset));
    put(&out, ERROR_WIRE_TEXT, err->text, strnlen(err->text, sizeof(err->text)));
    put(&out, ERROR_WIRE_HINT, err->hint, strnlen(err->hint, sizeof(err->hint)));
    return out.room ? out.used : 0;
}

/* One value; a known type of the wrong length is left out. */
static void take(struct ferry_error *err, uint16_t type, const uint8_t *value, size_t bytes)
{
    const char *text = (const char *)value;

    if (type == ERROR_WIRE_CODE && bytes == 2)
        err->code = (enum ferry_code)load_be16(value);
    else if (type == ERROR_WIRE_SIDE && bytes == 1 && value[0] <= FERRY_SIDE_DESTINATION)
        err->side = (enum ferry_side)value[0];
    else if (type == ERROR_WIRE_PHASE)
        printable(err->phase, sizeof(err->phase), text, bytes);
    else if (type == ERROR_WIRE_OBJECT)
        printable(err->object, sizeof(err->object), text, bytes);
    else if (type == ERROR_WIRE_OFFSET && bytes == 8 && load_be64(value) <= INT64_MAX)
        err->offset = (int64_t)load_be64(value);
    else if (type == ERROR_WIRE_TEXT)
        printable(err->text, sizeof(err->text), text, bytes);
    else if (type == ERROR_WIRE_HINT)
        printable(err->hint, sizeof(err->hint), text, bytes);
}

int error_decode(const uint8_t *from, size_t bytes, struct ferry_error *err)
{
    const struct ferry_code_info *info;
    size_t at = 0;

    memset(err, 0, sizeof(*err));
    err->offset = -1;
    err->from_peer = true;
    while (bytes - at >= HEAD_BYTES) {
        size_t length = load_be16(from + at + 2);

        if (length > bytes - at - HEAD_BYTES)
            return -EPROTO;
        take(err, load_be16(from + at), from + at + HEAD_BYTES, length);
        at += HEAD_BYTES + length;
    }
    if (at != bytes || err->code == FERRY_E_NONE || !err->text[0])
        return -EPROTO;
    info = ferry_code_info(err->code);
    err->errnum = info ? info->errnum : -EREMOTEIO;
    return 0;
}
