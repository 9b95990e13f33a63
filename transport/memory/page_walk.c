/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk.c - the pages that are still to be sent, handed out batch by batch
 *
 * Two places in the same bitmaps, of which each page leaves once, by whichever comes first:
 *
 *      dirty      1 1 1 1 1 1 1 1 1 1
 *      populated  1 1 0 0 0 0 1 1 0 0
 *                     ^ walk_take_untouched(): {2,4}, then {8,2}
 *                 ^ walk_take(): {0,2} {6,2}, and what of the others is still there
 *
 * What costs time (is a page zero?) is done outside of the lock.
 */
#include "page_walk_parts.h"

#include "clock.h"
#include "log.h"
#include "populated.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_PAGES 512 /* a huge page */

static void free_maps(struct dirty_map *maps, unsigned count)
{
    for (unsigned i = 0; maps && i < count; i++)
        dirty_clear_memory(&maps[i]);
    free(maps);
}

static struct dirty_map *make_maps(const struct ram_map *map, struct ferry_error *err)
{
    struct dirty_map *maps = calloc(map->count ? map->count : 1, sizeof(*maps));

    for (unsigned i = 0; maps && i < map->count; i++) {
        if (dirty_init(&maps[i], map->blocks[i]->pages) < 0) {
            free_maps(maps, i);
            maps = NULL;
        }
    }
    if (!maps)
        ferry_error_set(err, -ENOMEM, "no memory for the dirty bitmaps");
    return maps;
}

int walk_init(struct page_walk *walk, const struct ram_map *map, struct ferry_error *err)
{
    memset(walk, 0, sizeof(*walk));
    walk->map = map;
    pthread_mutex_init(&walk->lock, NULL);
    walk->dirty = make_maps(map, err);
    walk->written = walk->dirty ? make_maps(map, err) : NULL;
    if (!walk->written)
        return -ENOMEM;
    for (unsigned i = 0; i < map->count; i++) {
        dirty_set_all(&walk->dirty[i]);
        walk->pending_pages += map->blocks[i]->pages;
    }
    return 0;
}

static void forget_populated(struct page_walk *walk)
{
    free_maps(walk->populated, walk->map->count);
    walk->populated = NULL;
}

int walk_look_untouched(struct page_walk *walk, struct ferry_error *err)
{
    int ret = 0;

    forget_populated(walk);
    walk->populated = make_maps(walk->map, err);
    if (!walk->populated)
        return -ENOMEM;
    for (unsigned i = 0; ret == 0 && i < walk->map->count; i++)
        ret = populated_scan(walk->map->blocks[i], &walk->populated[i], err);
    return ret;
}

int walk_record(struct page_walk *walk, const char *path, const char *way, struct ferry_error *err)
{
    struct dirty_trace_block *blocks = calloc(walk->map->count ? walk->map->count : 1, sizeof(*blocks));

    if (!blocks)
        return ferry_error_set(err, -ENOMEM, "no memory for a dirty trace");
    for (unsigned i = 0; i < walk->map->count; i++)
        blocks[i] = (struct dirty_trace_block){ walk->map->blocks[i]->info.name, walk->map->blocks[i]->pages };
    walk->trace = dirty_trace_create(path, way, blocks, walk->map->count, err);
    walk->trace_began_ns = clock_now_ns();
    free(blocks);
    return walk->trace ? 0 : -EIO;
}

static void note_in_record(struct page_walk *walk)
{
    if (!walk->trace)
        return;
    dirty_trace_until(walk->trace, clock_now_ns() - walk->trace_began_ns);
    for (unsigned i = 0; i < walk->map->count; i++)
        dirty_trace_map(walk->trace, i, &walk->written[i]);
}

static void end_record(struct page_walk *walk)
{
    struct ferry_error why;

    if (dirty_trace_close(walk->trace, NULL, &why) < 0)
        log_warn(LOG_MEMORY, "%s", ferry_error_text(&why));
}

void walk_clear(struct page_walk *walk)
{
    if (!walk->map)
        return;
    free_maps(walk->dirty, walk->map->count);
    free_maps(walk->written, walk->map->count);
    hot_free(walk->hot);
    end_record(walk);
    forget_populated(walk);
    pthread_mutex_destroy(&walk->lock);
    memset(walk, 0, sizeof(*walk));
}

/* With the lock held: the walk stands at a dirty page; false when there is none. */
static bool find(struct page_walk *walk)
{
    uint64_t next;

    for (; walk->block < walk->map->count; walk->block++) {
        if (dirty_next_run(&walk->dirty[walk->block], walk->page, 1, &next) > 0) {
            walk->page = next;
            return true;
        }
        walk->page = 0;
    }
    return false;
}

void walk_claim_next(struct page_walk *walk, struct walk_claim *claim)
{
    claim->block = walk->block;
    claim->page = walk->page;
    claim->end = (walk->page / CLAIM_PAGES + 1) * CLAIM_PAGES;
    walk->page = claim->end;
}

/* With the lock held: claims that hold few pages share a batch. */
static bool fill_claimed(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch)
{
    if (claim->sync != walk->syncs)
        *claim = (struct walk_claim){ .sync = walk->syncs };
    for (;;) {
        if (claim->page < claim->end) {
            batch->block = walk->map->blocks[claim->block];
            batch_fill(batch, &walk->dirty[claim->block], &claim->page, claim->end);
        }
        if (batch->count == batch->limit || !find(walk) || (batch->count > 0 && walk->block != claim->block))
            return batch->count > 0;
        walk_claim_next(walk, claim);
    }
}

static bool fill(struct page_walk *walk, struct page_batch *batch)
{
    if (!find(walk))
        return false;
    batch->block = walk->map->blocks[walk->block];
    batch_fill(batch, &walk->dirty[walk->block], &walk->page, UINT64_MAX);
    return true;
}

void walk_hold(struct page_walk *walk, bool held)
{
    pthread_mutex_lock(&walk->lock);
    walk->held = held;
    pthread_mutex_unlock(&walk->lock);
}

bool walk_take(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch)
{
    bool some;

    batch->count = 0;
    batch->normal = 0;
    pthread_mutex_lock(&walk->lock);
    if (walk->held)
        some = false;
    else if (walk->postcopy)
        some = walk_fill_postcopy(walk, claim, batch);
    else
        some = claim ? fill_claimed(walk, claim, batch) : fill(walk, batch);
    walk->pending_pages -= batch->count;
    pthread_mutex_unlock(&walk->lock);
    if (some)
        batch_split_zero(batch, walk->populated ? &walk->populated[batch->block->index] : NULL);
    return some;
}

/* The next run in one block that is dirty and was never touched, of whole pieces of @piece pages; its length, 0 when
 * there is none.  Lock held. */
static uint64_t take_untouched(struct dirty_map *dirty, const struct dirty_map *populated, uint64_t piece,
                               uint64_t from, uint64_t *first)
{
    uint64_t next, touched, end, cut;

    while (dirty_next_run(dirty, from, 1, &next) > 0) {
        touched = dirty_next_run(populated, next, populated->pages, &end);
        if (touched == 0)
            end = dirty->pages;
        next = (next + piece - 1) / piece * piece;
        cut = end / piece * piece;
        if (cut > next && dirty_test(dirty, next))
            return dirty_take_run(dirty, next, cut - next, first);
        from = cut > next ? next : end + touched;
    }
    return 0;
}

bool walk_take_untouched(struct page_walk *walk, const struct ram_block **block, uint64_t *first, uint64_t *count)
{
    *count = 0;
    pthread_mutex_lock(&walk->lock);
    for (; !walk->held && walk->populated && walk->untouched_block < walk->map->count; walk->untouched_block++) {
        unsigned i = walk->untouched_block;

        *count =
            take_untouched(&walk->dirty[i], &walk->populated[i],
                           walk->postcopy ? walk_host_pages(walk->map->blocks[i]) : 1, walk->untouched_page, first);
        if (*count > 0) {
            *block = walk->map->blocks[i];
            walk->untouched_page = *first + *count;
            walk->pending_pages -= *count;
            break;
        }
        walk->untouched_page = 0;
    }
    pthread_mutex_unlock(&walk->lock);
    return *count > 0;
}

/* What was written in one block since the last time; *became: how many of these pages are dirty now and were not. */
static int sync_block(struct page_walk *walk, unsigned i, struct tracker_set *trackers, uint64_t *written,
                      uint64_t *became, struct ferry_error *err)
{
    int ret;

    dirty_clear_all(&walk->written[i]);
    ret = tracker_set_sync(trackers, walk->map->blocks[i], &walk->written[i], written, err);
    if (ret < 0)
        return ret;
    if (walk->hot)
        hot_written(walk->hot, i, &walk->written[i], &walk->dirty[i]);
    *became = dirty_or(&walk->dirty[i], walk->written[i].words);
    return 0;
}

int walk_sync(struct page_walk *walk, struct tracker_set *trackers, uint64_t *written, struct ferry_error *err)
{
    uint64_t changed = 0;
    int ret = 0;

    /* Nobody takes, so the maps need no lock; trackers may be the embedder's, who is called with none held. */
    *written = 0;
    forget_populated(walk);
    for (unsigned i = 0; ret == 0 && i < walk->map->count; i++) {
        uint64_t pages = 0, became = 0;

        ret = sync_block(walk, i, trackers, &pages, &became, err);
        *written += pages;
        changed += became;
    }
    if (ret == 0)
        note_in_record(walk);
    pthread_mutex_lock(&walk->lock);
    walk->pending_pages += changed;
    walk->syncs++;
    walk->block = 0;
    walk->page = 0;
    pthread_mutex_unlock(&walk->lock);
    return ret;
}

int walk_watch_hot(struct page_walk *walk, struct ferry_error *err)
{
    walk->hot = hot_new(walk->map, err);
    return walk->hot ? 0 : -ENOMEM;
}

uint64_t walk_pending(struct page_walk *walk)
{
    uint64_t pages;

    pthread_mutex_lock(&walk->lock);
    pages = walk->pending_pages;
    pthread_mutex_unlock(&walk->lock);
    return pages;
}
