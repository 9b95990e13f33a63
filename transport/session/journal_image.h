/* SPDX-License-Identifier: BSD-3-Clause */
/* journal_image.h - the bytes of a journal, and what they say; no I/O */
#ifndef SESSION_JOURNAL_IMAGE_H
#define SESSION_JOURNAL_IMAGE_H

#include "journal.h"

#include <stddef.h>

#define JOURNAL_RECORD_BYTES 64
#define JOURNAL_BYTES        512 /* a head and room for seven notes: one sector, so it is written whole or not at all */
#define JOURNAL_NOTES        (JOURNAL_BYTES / JOURNAL_RECORD_BYTES - 1)

struct journal_image {
    uint8_t bytes[JOURNAL_BYTES];
    unsigned notes; /* records behind the head */
};

/* A journal without a note. */
void journal_image_begin(struct journal_image *image, enum journal_role role, const uint8_t session[JOURNAL_ID_BYTES]);

/* Where the next note will stand, as an offset into the bytes; JOURNAL_BYTES when there is no room. */
size_t journal_image_end(const struct journal_image *image);

/* Write a note at the end, and count it.  @state holds step, session and token; there must be room. */
void journal_image_add(struct journal_image *image, const struct journal_state *state);

/* May @next follow @step? */
bool journal_step_follows(enum journal_step step, enum journal_step next);

/* Does a note of @step carry the token? */
bool journal_step_has_token(enum journal_step step);

/**
 * journal_image_decode() - what the first @length bytes of a file say
 * @image: set to the notes that count, with zeroes behind them
 *
 * Returns -ENODATA where nothing was noted, -EBADMSG for anything that journal_image_add() and a note cut off behind
 * it cannot have left.  @image and @out are set on 0 only.
 */
int journal_image_decode(const uint8_t *bytes, size_t length, struct journal_image *image, struct journal_state *out,
                         struct ferry_error *err);

#endif
