/* SPDX-License-Identifier: BSD-3-Clause */
/* reasons.h - why a migration cannot be: all of the reasons at once, and what should be known besides
 *
 * On the wire (REFUSED): be16 count, then each reason: be16 length, text.
 */
#ifndef STATE_REASONS_H
#define STATE_REASONS_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

#define REASON_TEXT_BYTES 600
#define REASONS_MAX       100 /* that are kept; the rest is counted */

struct reason {
    enum ferry_code code; /* 0 where it came over the wire */
    char text[REASON_TEXT_BYTES];
};

/* Zero-initialise.  Without memory for another one, `dropped` counts it: none is forgotten. */
struct reasons {
    struct reason *rows; /* owned */
    unsigned count;
    unsigned dropped; /* more than these */
};

void reasons_clear(struct reasons *reasons);

/* The text is made fit for a terminal. */
void reasons_add(struct reasons *reasons, enum ferry_code code, const char *format, ...) FERRY_PRINTF(3, 4);

/**
 * reasons_error() - all of them as one error: "the destination cannot take this guest: A; B; and 3 more"
 *
 * Its code is the one that all have, or FERRY_E_REFUSED.  Returns -EINVAL, or 0 where there is no reason at all.
 */
int reasons_error(const struct reasons *reasons, struct ferry_error *err);

/* The payload of REFUSED, at most @most bytes; what does not fit is counted in the last reason.  To be freed. */
uint8_t *reasons_encode(const struct reasons *reasons, size_t most, size_t *bytes, struct ferry_error *err);

/* And back: hostile bytes.  *reasons is filled only on 0, and to be cleared. */
int reasons_decode(const uint8_t *data, size_t bytes, struct reasons *reasons, struct ferry_error *err);

#endif
