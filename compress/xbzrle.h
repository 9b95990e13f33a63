/* SPDX-License-Identifier: BSD-3-Clause */
/* xbzrle.h - a page as its difference from what the receiver has
 *
 *      delta = same new { same new }       same: how many bytes stay, new: how many follow here, and they
 *
 * Counts are of one or two bytes: n below 0x80 is n, else (n & 0x7f) | 0x80 and n >> 7.  Only the first `same` may be
 * 0; bytes that stay at the end are not mentioned.
 */
#ifndef COMPRESS_XBZRLE_H
#define COMPRESS_XBZRLE_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

/**
 * xbzrle_encode() - the difference of two pages
 * @bytes: of a page, at most 16383
 * @room: of @delta
 *
 * Returns the bytes of the delta, 0 when the pages are equal, or -ENOSPC.
 */
int xbzrle_encode(const uint8_t *old_page, const uint8_t *new_page, size_t bytes, uint8_t *delta, size_t room);

/**
 * xbzrle_decode() - apply a delta
 * @page: what the receiver has; changed in place, partly also where the delta turns out to be wrong
 *
 * Returns 0 or -EPROTO.  Never reads or writes outside of what it was given.
 */
int xbzrle_decode(const uint8_t *delta, size_t delta_bytes, uint8_t *page, size_t bytes, struct ferry_error *err);

#endif
