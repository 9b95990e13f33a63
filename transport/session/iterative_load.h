/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_load.h - iterative devices at the destination: each section goes to its device, and each must come to END
 *
 * Used by the session's thread alone.
 */
#ifndef SESSION_ITERATIVE_LOAD_H
#define SESSION_ITERATIVE_LOAD_H

#include "guest_parts.h"
#include "section_table.h"

struct iterative_loader;

struct iterative_arrival {
    struct iterative_loader *loader;
    struct iterative_device *device; /* borrowed */
    uint32_t version;                /* of the stream; 0: not started */
    bool set_up;
};

/* Zero is a legal state with nothing in it. */
struct iterative_loader {
    struct ferry_guest *guest; /* borrowed, with what follows */
    struct section_table *sections;
    struct iterative_arrival *arrivals; /* one per device of the guest; owned */
    unsigned count;
    uint64_t bytes; /* in bodies, so far */
};

/* load.setup of every device.  On failure call iterative_load_end() all the same. */
int iterative_load_begin(struct iterative_loader *loader, struct ferry_guest *guest, struct section_table *sections,
                         struct ferry_error *err);
void iterative_load_end(struct iterative_loader *loader);

/* A START of something that is not memory, footer included.  0 or the reader's error. */
int iterative_load_start(struct iterative_loader *loader, const struct section_item *item) FERRY_CHECK;

/* Whether every device with initial data has it. */
bool iterative_load_ready(const struct iterative_loader *loader);

/* After the last section: every device that must come has come to its END. */
int iterative_load_complete(const struct iterative_loader *loader, struct ferry_error *err);

#endif
