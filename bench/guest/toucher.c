/* SPDX-License-Identifier: BSD-3-Clause */
/* toucher.c - a thread that reads pages of guest memory at random, and notes how long each took */
#include "toucher.h"

#include "clock.h"
#include "content.h"
#include "pace.h"

#include <errno.h>
#include <ferry/memory.h>
#include <stdlib.h>
#include <string.h>

struct toucher {
    pthread_t thread;
    struct toucher_terms terms;
    uint64_t random; /* how many were drawn, mixed with the seed */
};

/* One word, which a writer may be changing: atomically, and nobody looks at it. */
static void touch(struct toucher *toucher)
{
    uint64_t page = content_hash(toucher->terms.seed + toucher->random++) % (toucher->terms.bytes / FERRY_PAGE_BYTES);
    const uint64_t *at = (const uint64_t *)((const char *)toucher->terms.ram + page * FERRY_PAGE_BYTES);
    int64_t began_ns = clock_now_ns();

    (void)__atomic_load_n(at, __ATOMIC_RELAXED);
    touches_note(toucher->terms.touches, clock_now_ns() - began_ns);
}

static void read_while_open(struct toucher *toucher)
{
    struct pace pace;

    pace_start(&pace, toucher->terms.bytes_per_sec, clock_now_ns());
    while (gate_is_open(toucher->terms.gate)) {
        uint64_t due = pace_due(&pace, clock_now_ns());

        for (; due > 0 && gate_is_open(toucher->terms.gate); due--)
            touch(toucher);
        if (toucher->terms.bytes_per_sec != PACE_UNLIMITED)
            gate_sleep_until(toucher->terms.gate, pace_next_ns(&pace, clock_now_ns()));
    }
}

static void *toucher_main(void *opaque)
{
    struct toucher *toucher = opaque;

    while (gate_enter(toucher->terms.gate)) {
        read_while_open(toucher);
        gate_leave(toucher->terms.gate);
    }
    return NULL;
}

struct toucher *toucher_new(const struct toucher_terms *terms, struct ferry_error *err)
{
    struct toucher *toucher = calloc(1, sizeof(*toucher));
    int ret = toucher ? 0 : -ENOMEM;

    if (ret == 0) {
        toucher->terms = *terms;
        ret = -pthread_create(&toucher->thread, NULL, toucher_main, toucher);
    }
    if (ret == 0)
        return toucher;
    ferry_error_set(err, ret, "cannot start what reads the guest: %s", strerror(-ret));
    free(toucher);
    return NULL;
}

void toucher_free(struct toucher *toucher)
{
    if (toucher)
        pthread_join(toucher->thread, NULL);
    free(toucher);
}
