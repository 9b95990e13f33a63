/* SPDX-License-Identifier: BSD-3-Clause */
/* error_wire.h - an error as bytes, so that both ends report the one that came first
 *
 *      be16 type | be16 length | value        again and again; type 0 is invalid, types not known here are skipped
 *
 *      1 code be16     2 side u8 (1 source, 2 destination)     3 phase     4 object     5 offset be64     6 text     7
 * hint
 *
 * Texts have no NUL.  A number of errno means something else on another system, so it does not travel: the code does.
 */
#ifndef STREAM_ERROR_WIRE_H
#define STREAM_ERROR_WIRE_H

#include <ferry/error.h>
#include <stddef.h>

/* Room for any error of ours. */
#define ERROR_WIRE_MAX 1536

/**
 * error_encode() - write @err to @to
 * @err: one that is set
 *
 * Parts that find no room are left out, the code first of all stays.  Returns the bytes used.
 */
size_t error_encode(const struct ferry_error *err, uint8_t *to, size_t room);

/**
 * error_decode() - what the other end says went wrong
 * @bytes: any number
 * @out: set on 0 only; from_peer, its texts fit for a terminal, its errnum the one of its code
 *
 * Returns 0, or -EPROTO when this is not an error.
 */
int error_decode(const uint8_t *from, size_t bytes, struct ferry_error *out) FERRY_CHECK;

#endif
