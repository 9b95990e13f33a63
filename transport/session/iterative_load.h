/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_load.h - iterative devices at the destination: each section goes to its device, and each must come to END
 *
 * Used by the session's thread alone, but for iterative_load_part().
 */
#ifndef SESSION_ITERATIVE_LOAD_H
#define SESSION_ITERATIVE_LOAD_H

#include "guest_parts.h"
#include "page_parts.h"
#include "section_table.h"

#include <pthread.h>
#include <stdatomic.h>

struct iterative_loader;

struct iterative_arrival {
    struct iterative_loader *loader;
    struct iterative_device *device; /* borrowed */
    uint32_t version;                /* of the stream; 0: not started */
    bool set_up;
    bool open; /* between its START and its END; guarded by the loader's lock */
};

/* Zero is a legal state with nothing in it. */
struct iterative_loader {
    struct ferry_guest *guest; /* borrowed, with what follows */
    struct section_table *sections;
    struct iterative_arrival *arrivals; /* one per device of the guest; owned */
    unsigned count;
    uint64_t bytes;                   /* in bodies, so far */
    atomic_uint_fast64_t parts_bytes; /* in pieces, so far */
    /* Held to read while a piece is taken, to write while a body is read: a leaf to nobody, devices' own are inside. */
    pthread_rwlock_t lock;
};

/* load.setup of every device.  On failure call iterative_load_end() all the same. */
int iterative_load_begin(struct iterative_loader *loader, struct ferry_guest *guest, struct section_table *sections,
                         struct ferry_error *err);
void iterative_load_end(struct iterative_loader *loader);

/* A START of something that is not memory, footer included.  0 or the reader's error. */
int iterative_load_start(struct iterative_loader *loader, const struct section_item *item) FERRY_CHECK;

/* A piece of a device's state; see page_parts_sink.  Thread: any, also while and after the loader ends, but not before
 * it has begun. */
int iterative_load_part(struct iterative_loader *loader, const struct packet *packet, const uint8_t *data, size_t bytes,
                        struct ferry_error *err);

/* Whether every device with initial data has it. */
bool iterative_load_ready(const struct iterative_loader *loader);

/* After the last section: every device that must come has come to its END. */
int iterative_load_complete(const struct iterative_loader *loader, struct ferry_error *err);

#endif
