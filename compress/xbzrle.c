/* SPDX-License-Identifier: BSD-3-Clause */
/* xbzrle.c - a page as its difference from what the receiver has */
#include "xbzrle.h"

#include <errno.h>
#include <string.h>

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

int xbzrle_encode(const uint8_t *old_page, const uint8_t *new_page, size_t bytes, uint8_t *delta, size_t room)
{
    uint8_t *out = delta;
    size_t at = 0;

    for (;;) {
        size_t same = at, end;

        while (same < bytes && old_page[same] == new_page[same])
            same++;
        if (same == bytes)
            return (int)(out - delta);
        end = same;
        while (end < bytes && old_page[end] != new_page[end])
            end++;
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
