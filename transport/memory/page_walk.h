/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk.h - the pages that are still to be sent, handed out batch by batch
 *
 *      trackers --> walk_sync() --> dirty, one bitmap per block --> walk_take() --> batch   (migration thread,
 *                                                              \-> walk_take() --> batch    or one per page channel)
 *
 * Whoever sends takes for itself: nobody hands work to a thread that must be woken for it.  In the first round the
 * pages that were never touched are known, and are handed out as runs, unread.
 *
 * Threads: walk_take() and walk_take_untouched() any, all at once; the rest belongs to the migration thread, while
 * nobody takes.
 */
#ifndef MEMORY_PAGE_WALK_H
#define MEMORY_PAGE_WALK_H

#include "batch.h"
#include "dirty.h"
#include "ram_map.h"
#include "tracker.h"

#include <ferry/error.h>
#include <pthread.h>
#include <stdbool.h>

/* A part of a block that one taker has for itself: what lies in one huge page at the destination is then touched there
 * first by one thread, and not made ready by two.  Zeroed before its first use. */
struct walk_claim {
    unsigned sync;  /* of which walk_sync(); older ones are void */
    unsigned block; /* in the walk's map */
    uint64_t page, end;
};

struct page_walk {
    const struct ram_map *map;   /* borrowed */
    pthread_mutex_t lock;        /* a leaf; guards all below */
    struct dirty_map *dirty;     /* one per block; owned */
    struct dirty_map *populated; /* one per block, in the first round only; owned */
    uint64_t pending_pages;
    unsigned syncs;
    unsigned block; /* where walk_take() stands */
    uint64_t page;
    unsigned untouched_block; /* ... and walk_take_untouched() */
    uint64_t untouched_page;
};

/* Every page is to be sent.  On failure walk_clear() all the same. */
int walk_init(struct page_walk *walk, const struct ram_map *map, struct ferry_error *err);

/* Learn which pages were never touched: after the trackers have started, so that a page touched later is found. */
int walk_look_untouched(struct page_walk *walk, struct ferry_error *err);

void walk_clear(struct page_walk *walk);

/**
 * walk_take() - the next pages of one block, at most batch->limit of them; their bits are cleared
 * @claim: the taker's own; NULL: whatever is next
 *
 * The batch comes sorted by batch_split_zero(), which is done outside of the lock.  False when none is left.
 */
bool walk_take(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch);

/**
 * walk_take_untouched() - the next run of pages that were never touched: they are zero and nobody need read them
 *
 * As long as one likes: a run ends at the first page that was touched, or at the end of its block.  False when none is
 * left, and after the first walk_sync().
 */
bool walk_take_untouched(struct page_walk *walk, const struct ram_block **block, uint64_t *first, uint64_t *count);

/* Ask the trackers; pages become dirty again, and the walk starts from the front.  *changed: how many. */
int walk_sync(struct page_walk *walk, struct tracker_set *trackers, uint64_t *changed, struct ferry_error *err);

/* How many pages are left.  Thread: any. */
uint64_t walk_pending(struct page_walk *walk);

#endif
