/* SPDX-License-Identifier: BSD-3-Clause */
/* page_channels_fixture.h - a guest that writes, channels, and both of their ends
 *
 *      guest writes --> walk --> senders ==== tcp, unix ==== receivers --> placer
 *                                       \== wire: flips ==/
 */
#ifndef TESTS_PAGE_CHANNELS_FIXTURE_H
#define TESTS_PAGE_CHANNELS_FIXTURE_H

#include "page_receivers.h"
#include "page_senders.h"

#include <stdatomic.h>

#define BLOCKS   2
#define PAGES    3001 /* of a block */
#define CHANNELS 8    /* at most */

struct memory {
    struct ram_map map;
    uint8_t *at[BLOCKS];
};

struct guest {
    struct memory *memory;
    _Atomic(uint64_t) dirty[BLOCKS][PAGES / 64 + 1];
    atomic_bool stop;
    pthread_t thread;
};

struct wire {
    struct ferry_channel *in, *out; /* its thread's, which closes them */
    int64_t flip_at;                /* the byte whose lowest bit is turned; -1: none */
    int64_t cut_at;                 /* the stream ends there; -1: it does not */
    bool started;
    pthread_t thread;
};

struct scene {
    struct memory from, to;
    struct guest guest;
    struct tracker_set *trackers;
    struct page_walk walk;
    struct placer *placer;
    unsigned count;
    struct ferry_channel *out[CHANNELS], *in[CHANNELS];
    struct wire wire; /* the last channel goes over it, where it was asked for */
    struct page_senders *senders;
    struct page_receivers *receivers;
    uint32_t round;
    atomic_uint failures; /* told by the receivers */
};

struct page_terms usual_terms(const struct packet_format *format);

/* Changes the page, and the tracker knows it. */
void guest_write(struct guest *guest, unsigned block, unsigned page, uint64_t value);

/* A guest's thread that writes until its stop. */
void *guest_main(void *opaque);

/* Memory and channels (NULL: socket pairs); scene_start() may follow. */
void scene_make(struct scene *scene, unsigned channels, const char *uri, bool with_wire);
void scene_start(struct scene *scene, const struct page_terms *terms);
void scene_clear(struct scene *scene);

/* All that is dirty goes over, and a sync behind it.  Returns what the senders said. */
int send_round(struct scene *scene, struct ferry_error *err);

void round_succeeds(struct scene *scene);
void learn_what_changed(struct scene *scene);
void assert_arrived(struct scene *scene);
void end_succeeds(struct scene *scene);

#endif
