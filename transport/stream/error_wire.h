/* SPDX-License-Identifier: BSD-3-Clause */
/* error_wire.h - why one side failed, as bytes for the other
 *
 *      { be16 type | be16 length | value }      types below; unknown ones are passed over
 */
#ifndef STREAM_ERROR_WIRE_H
#define STREAM_ERROR_WIRE_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

/* Frozen. */
enum error_wire_type {
    ERROR_WIRE_CODE = 1,   /* be16, enum ferry_code */
    ERROR_WIRE_SIDE = 2,   /* u8, enum ferry_side */
    ERROR_WIRE_PHASE = 3,  /* text */
    ERROR_WIRE_OBJECT = 4, /* text */
    ERROR_WIRE_OFFSET = 5, /* be64 */
    ERROR_WIRE_TEXT = 6,   /* text */
    ERROR_WIRE_HINT = 7,   /* text */
};

/* Any error fits. */
#define ERROR_WIRE_MAX 1024

/* Returns the bytes used; 0 if @room is too small. */
size_t error_encode(const struct ferry_error *err, uint8_t *to, size_t room);

/**
 * error_decode() - an error that the peer tells of
 *
 * Hostile bytes: every length is checked, texts are made fit for a terminal and cut to size.  *err is from_peer, and
 * its errnum is the code's.  Returns 0, or -EPROTO where there is no code and no text in it.
 */
int error_decode(const uint8_t *from, size_t bytes, struct ferry_error *err);

#endif
