/* SPDX-License-Identifier: BSD-3-Clause */
/* state_sections.h - the devices of a guest as sections of the stream, out and back */
#ifndef SESSION_STATE_SECTIONS_H
#define SESSION_STATE_SECTIONS_H

#include "guest_parts.h"
#include "section.h"

#include <ferry/stream.h>

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

/* The FULL section that @item begins, footer included: parsed and checked whole, then applied to the device. */
int state_sections_load(struct ferry_guest *guest, struct ferry_reader *reader, const struct section_item *item,
                        struct ferry_error *err);

/* After the last section: every device whose state must come has got it. */
int state_sections_complete(struct ferry_guest *guest, struct ferry_error *err);

#endif
