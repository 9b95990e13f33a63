/* SPDX-License-Identifier: BSD-3-Clause */
/* xbzrle.c - a page as its difference from what the receiver has */
#include "xbzrle.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define WORD      sizeof(uint64_t)
#define BLOCK     64
#define LOW_BITS  UINT64_C(0x7f7f7f7f7f7f7f7f)
#define BYTE_BITS 8

static size_t count_bytes(size_t count)
{
    return count < 0x80 ? 1 : 2;
}

static uint8_t *put_count(uint8_t *to, size_t count)
{
    if (count < 0x80) {
        *to++ = (uint8_t)count;
    } else {
        *to++ = (uint8_t)(count & 0x7f) | 0x80;
        *to++ = (uint8_t)(count >> 7);
    }
    return to;
}

/* 0 where the count is cut off or longer than two bytes. */
static size_t get_count(const uint8_t *from, size_t left, size_t *count)
{
    if (left < 1)
        return 0;
    *count = from[0] & 0x7f;
    if (from[0] < 0x80)
        return 1;
    if (left < 2 || from[1] >= 0x80)
        return 0;
    *count |= (size_t)from[1] << 7;
    return 2;
}

/* Where the two differ, a bit is set; the first byte's bits are the highest. */
static uint64_t difference(const uint8_t *one, const uint8_t *other)
{
    uint64_t a, b;

    memcpy(&a, one, WORD);
    memcpy(&b, other, WORD);
    return be64toh(a ^ b);
}

/* The compiler makes vectors of it. */
static bool is_same_block(const uint8_t *one, const uint8_t *other)
{
    uint64_t a[BLOCK / WORD], b[BLOCK / WORD], unlike = 0;

    memcpy(a, one, BLOCK);
    memcpy(b, other, BLOCK);
    for (unsigned i = 0; i < BLOCK / WORD; i++)
        unlike |= a[i] ^ b[i];
    return unlike == 0;
}

static size_t same_until(const uint8_t *one, const uint8_t *other, size_t at, size_t bytes)
{
    while (at + BLOCK <= bytes && is_same_block(one + at, other + at))
        at += BLOCK;
    for (; at + WORD <= bytes; at += WORD) {
        uint64_t unlike = difference(one + at, other + at);

        if (unlike)
            return at + (size_t)__builtin_clzll(unlike) / BYTE_BITS;
    }
    while (at < bytes && one[at] == other[at])
        at++;
    return at;
}

static size_t different_until(const uint8_t *one, const uint8_t *other, size_t at, size_t bytes)
{
    for (; at + WORD <= bytes; at += WORD) {
        uint64_t unlike = difference(one + at, other + at);
        uint64_t zero_bytes = ~(((unlike & LOW_BITS) + LOW_BITS) | unlike | LOW_BITS); /* the highest bit of each */

        if (zero_bytes)
            return at + (size_t)__builtin_clzll(zero_bytes) / BYTE_BITS;
    }
    while (at < bytes && one[at] != other[at])
        at++;
    return at;
}

int xbzrle_encode(const uint8_t *old_page, const uint8_t *new_page, size_t bytes, uint8_t *delta, size_t room)
{
    uint8_t *out = delta;
    size_t at = 0;

    for (;;) {
        size_t same = same_until(old_page, new_page, at, bytes), end;

        if (same == bytes)
            return (int)(out - delta);
        end = different_until(old_page, new_page, same, bytes);
        if (count_bytes(same - at) + count_bytes(end - same) + (end - same) > room - (size_t)(out - delta))
            return -ENOSPC;
        out = put_count(out, same - at);
        out = put_count(out, end - same);
        memcpy(out, new_page + same, end - same);
        out += end - same;
        at = end;
    }
}

int xbzrle_decode(const uint8_t *delta, size_t delta_bytes, uint8_t *page, size_t bytes, struct ferry_error *err)
{
    size_t in = 0, at = 0;

    while (in < delta_bytes) {
        size_t same, fresh, used = get_count(delta + in, delta_bytes - in, &same);

        if (!used || (same == 0 && in > 0) || same > bytes - at)
            return ferry_error_set(err, -EPROTO, "xbzrle: byte %zu of the delta: a run of bytes that stay is wrong",
                                   in);
        in += used;
        at += same;
        used = get_count(delta + in, delta_bytes - in, &fresh);
        if (!used || fresh == 0 || fresh > bytes - at || fresh > delta_bytes - in - used)
            return ferry_error_set(err, -EPROTO, "xbzrle: byte %zu of the delta: a run of new bytes is wrong", in);
        in += used;
        memcpy(page + at, delta + in, fresh);
        in += fresh;
        at += fresh;
    }
    return 0;
}
