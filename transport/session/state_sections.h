/* SPDX-License-Identifier: BSD-3-Clause */
/* state_sections.h - the devices of a guest as sections of the stream, out and back */
#ifndef SESSION_STATE_SECTIONS_H
#define SESSION_STATE_SECTIONS_H

#include "guest_parts.h"
#include "section.h"

#include <ferry/stream.h>
#include <stdbool.h>

/* How many bytes of device state there are now, about. */
int state_sections_size(struct ferry_guest *guest, uint64_t *bytes, struct ferry_error *err);

/**
 * state_sections_save() - every device that is needed as a FULL section, then the end and the description
 * @first_id: section ids count from here
 * *bytes: what was put, the description left out
 *
 * The guest stands still.  Does not flush.
 */
int state_sections_save(struct ferry_guest *guest, struct ferry_writer *writer, uint32_t first_id, uint64_t *bytes,
                        struct ferry_error *err);

/* The FULL sections alone, which is what goes into the package of a postcopy. */
int state_sections_put(struct ferry_guest *guest, struct ferry_writer *writer, uint32_t first_id, uint64_t *bytes,
                       struct ferry_error *err);

/* Which devices have got their state; zero-initialise, and clear in the end. */
struct state_arrivals {
    bool *arrived; /* by device number; owned */
    uint32_t count;
};

void state_arrivals_clear(struct state_arrivals *arrivals);

/**
 * state_sections_load() - the FULL section that @item begins, footer included
 *
 * Parsed and checked whole, then applied to the device.  A second section for the same device is refused.
 */
int state_sections_load(struct ferry_guest *guest, struct ferry_reader *reader, const struct section_item *item,
                        struct state_arrivals *arrivals, struct ferry_error *err);

/* After the last section: every device whose state must come has got it. */
int state_sections_complete(struct ferry_guest *guest, const struct state_arrivals *arrivals, struct ferry_error *err);

#endif
