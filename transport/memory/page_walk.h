/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk.h - the pages that are still to be sent, handed out batch by batch
 *
 *      trackers --> walk_sync() --> dirty, one bitmap per block --> walk_take() --> batch   (migration thread,
 *                                                              \-> walk_take() --> batch    or one per page channel)
 *
 * Whoever sends takes for itself: nobody hands work to a thread that must be woken for it.  In the first round the
 * pages that were never touched are known, and are handed out as runs, unread.
 *
 * In postcopy each page leaves once, and what is one page at the destination (its host page, block.page_size) leaves
 * through one taker: see "postcopy" below.
 *
 * Threads: those that take (walk_take_*) any, all at once; the rest belongs to the migration thread, while nobody
 * takes, unless it says otherwise.
 */
#ifndef MEMORY_PAGE_WALK_H
#define MEMORY_PAGE_WALK_H

#include "batch.h"
#include "dirty.h"
#include "dirty_trace.h"
#include "hot.h"
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
    bool whole; /* postcopy: the rest of a host page; its pages are nobody else's any more */
};

struct page_walk {
    const struct ram_map *map;   /* borrowed */
    pthread_mutex_t lock;        /* a leaf; guards all below */
    struct dirty_map *dirty;     /* one per block; owned */
    struct dirty_map *populated; /* one per block, in the first round only; owned */
    struct dirty_map *written;   /* one per block, by the last walk_sync(); owned, the migration thread's own */
    struct hot_pages *hot;       /* owned, the migration thread's own; NULL: nobody asks */
    struct dirty_trace *trace;   /* owned, likewise: notes what each walk_sync() has found; NULL: nobody asks */
    int64_t trace_began_ns;
    bool held; /* nobody is given anything */
    uint64_t pending_pages;
    unsigned syncs;
    unsigned block; /* where walk_take() stands */
    uint64_t page;
    unsigned untouched_block; /* ... and walk_take_untouched() */
    uint64_t untouched_page;
    bool postcopy;
    struct walk_claim nobody; /* postcopy: of the one taker that has none of its own */
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
 *
 * In postcopy a batch of a block with larger host pages holds pages of one of them only, all of it where limit allows
 * and else a part: the rest is the claim's, and comes with the next calls.  One taker at most may go without a claim.
 */
bool walk_take(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch);

/**
 * walk_take_untouched() - the next run of pages that were never touched: they are zero and nobody need read them
 *
 * As long as one likes: a run ends at the first page that was touched, or at the end of its block.  False when none is
 * left, and after the first walk_sync().
 */
bool walk_take_untouched(struct page_walk *walk, const struct ram_block **block, uint64_t *first, uint64_t *count);

/* Ask the trackers; pages become dirty again, and the walk starts from the front.  *written: how many were written.
 * Pages that hot_hold() has taken out of walk->dirty are back in it. */
int walk_sync(struct page_walk *walk, struct tracker_set *trackers, uint64_t *written, struct ferry_error *err);

/* From now on walk->hot tells which pages are written all the time.  Before the first walk_sync(). */
int walk_watch_hot(struct page_walk *walk, struct ferry_error *err);

/* From now on each walk_sync() is noted in a file, with the time since now.  @way: how written pages are found. */
int walk_record(struct page_walk *walk, const char *path, const char *way, struct ferry_error *err);

/* While it is held, nobody is given anything: who takes finds that nothing is left.  Thread: the migration thread, at
 * any time. */
void walk_hold(struct page_walk *walk, bool held);

/* How many pages are left: in nobody's batch yet; those that are held back included.  Thread: any. */
uint64_t walk_pending(struct page_walk *walk);

/* ---- postcopy (page_walk_postcopy.c) --------------------------------------------------------------------------- */

/**
 * walk_begin_postcopy() - from now on each page leaves once
 *
 * The guest stands still and the last walk_sync() is done; none may follow.  A host page with any dirty page becomes
 * wholly dirty.  What is dirty now, sent and dirtied again or never sent, is what the destination has to discard.
 * walk_look_untouched() before it is legal and worth it where no round was sent.
 */
void walk_begin_postcopy(struct page_walk *walk);

/**
 * walk_begin_again() - postcopy goes on: what the destination has not is dirty, whoever had taken it, and nothing else
 * @received: for each block of the map a bit per page, as dirty_or() takes them; turned over
 *
 * Nobody takes, and all claims are void.  Returns how many pages were taken before and go again.
 */
uint64_t walk_begin_again(struct page_walk *walk, uint64_t *const *received);

/* What walk_each_dirty_run() tells: @count pages of @block from @first on.  Non-zero ends it. */
typedef int walk_run_fn(void *opaque, const struct ram_block *block, uint64_t first, uint64_t count);

/**
 * walk_each_dirty_run() - every run of dirty pages, in the order of blocks and pages; whole host pages in postcopy
 *
 * Returns 0 or what @fn returned.  Before anybody takes.
 */
int walk_each_dirty_run(struct page_walk *walk, walk_run_fn *fn, void *opaque);

/* How many pages of 4 KiB one page of the destination has. */
uint64_t walk_host_pages(const struct ram_block *block);

/**
 * walk_take_host_page() - the host page in which @page lies, if nobody has taken it yet
 * @claim: the taker's own, empty; what does not fit the batch is its from now on: walk_take_rest()
 *
 * False: it is gone, whether sent or in somebody's hands.  Thread: any.
 */
bool walk_take_host_page(struct page_walk *walk, struct walk_claim *claim, const struct ram_block *block, uint64_t page,
                         struct page_batch *batch);

/* What is left of @claim's host page.  False: nothing is. */
bool walk_take_rest(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch);

/* Pages near one that was requested: every @stride-th (which may be negative) from @first on, @count of them. */
struct walk_near {
    const struct ram_block *block;
    uint64_t first;
    int64_t stride;
    unsigned count;
};

/**
 * walk_take_near() - those of @near that nobody has taken yet, at most batch->limit
 *
 * @near is moved behind what was looked at; its count is 0 when that was all.  Blocks with host pages larger than 4 KiB
 * have no such neighbours.  False: none was left.
 */
bool walk_take_near(struct page_walk *walk, struct walk_near *near, struct page_batch *batch);

/* walk_take() goes on behind this page's host page; what lies before it is not forgotten.  Thread: any. */
void walk_jump(struct page_walk *walk, const struct ram_block *block, uint64_t page);

#endif
