/* SPDX-License-Identifier: BSD-3-Clause */
/* staged_placer.h - placers that behave as those of postcopy do, on memory that is nobody's
 *
 * What is prepared is staging memory; a commit puts it in place, whole host pages at once, and counts.  What was never
 * discarded, not prepared, or not a whole host page is refused, as memory/postcopy_ram.h has it.
 */
#ifndef TESTS_STAGED_PLACER_H
#define TESTS_STAGED_PLACER_H

#include "batch.h"
#include "placer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define STAGED_BLOCKS 4
#define STAGED_VIEWS  10

struct staged_view {
    struct placer base;
    struct staged *all;
    uint8_t *memory; /* BATCH_PAGES_MAX pages */
    const struct ram_block *block[BATCH_PAGES_MAX];
    uint64_t page[BATCH_PAGES_MAX];
    unsigned used;
    bool closed; /* something was committed: the next prepare begins anew */
    const struct ram_block *part_block;
    uint64_t part_host, part_count; /* of a host page that is not whole yet */
    atomic_uint commits, longest;   /* calls, pages */
};

struct staged {
    const struct ram_map *map;
    _Atomic(uint8_t) *missing[STAGED_BLOCKS]; /* a byte per page: discarded */
    _Atomic(uint8_t) *arrived[STAGED_BLOCKS]; /* how often */
    pthread_mutex_t lock;                     /* guards nothing; who changes `placed` holds it */
    pthread_cond_t changed;
    _Atomic(uint64_t) placed; /* pages */
    struct staged_view view[STAGED_VIEWS];
};

void staged_make(struct staged *staged, const struct ram_map *map);
void staged_clear(struct staged *staged);

/* The pages hold something else now, and are missing. */
void staged_discard(struct staged *staged, const struct ram_block *block, uint64_t first, uint64_t count);

/* Wait until so many pages were placed. */
void staged_await(struct staged *staged, uint64_t pages);

/* Every page that is missing came exactly once, and no other came. */
void staged_assert_once(const struct staged *staged);

#endif
