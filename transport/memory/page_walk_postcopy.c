/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk_postcopy.c - pages that leave once, and whole host pages through one taker
 *
 * A page of the destination is dropped, asked for and installed whole.  So its 4 KiB pages are dirty all or none, and
 * whoever begins with one takes all of them out of the map at once; those that did not fit its batch are its claim.
 *
 *      block of 4 KiB     1 0 1 1 0 1      each page by itself; a claim only says who looks there
 *      block of 2 MiB     1...1 0...0      the claim {first, end} holds pages that the map no longer has
 *
 * The walk goes around: a request moves it behind the page that was asked for, and what lay before comes at the end.
 */
#include "bits.h"
#include "page_walk_parts.h"

#include <string.h>

uint64_t walk_host_pages(const struct ram_block *block)
{
    return block->info.page_size > FERRY_PAGE_BYTES ? block->info.page_size / FERRY_PAGE_BYTES : 1;
}

/* Each host page with any dirty page becomes wholly dirty.  Returns how many pages became so. */
static uint64_t make_whole(const struct ram_block *block, struct dirty_map *dirty)
{
    uint64_t host = walk_host_pages(block), before = dirty->count;
    uint64_t first, at = 0;

    while (host > 1 && dirty_next_run(dirty, at, 1, &first) > 0) {
        dirty_set_range(dirty, first / host * host, host);
        at = (first / host + 1) * host;
    }
    return dirty->count - before;
}

void walk_begin_postcopy(struct page_walk *walk)
{
    pthread_mutex_lock(&walk->lock);
    for (unsigned i = 0; i < walk->map->count; i++)
        walk->pending_pages += make_whole(walk->map->blocks[i], &walk->dirty[i]);
    walk->postcopy = true;
    walk->syncs++;
    walk->block = walk->untouched_block = 0;
    walk->page = walk->untouched_page = 0;
    memset(&walk->nobody, 0, sizeof(walk->nobody));
    pthread_mutex_unlock(&walk->lock);
}

uint64_t walk_begin_again(struct page_walk *walk, uint64_t *const *received)
{
    uint64_t again = 0;

    pthread_mutex_lock(&walk->lock);
    walk->pending_pages = 0;
    for (unsigned i = 0; i < walk->map->count; i++) {
        struct dirty_map *dirty = &walk->dirty[i];

        for (size_t word = 0; word < bits_words(dirty->pages); word++)
            received[i][word] = ~received[i][word];
        again += dirty_or(dirty, received[i]);
        dirty_clear_all(dirty);
        (void)dirty_or(dirty, received[i]);
        (void)make_whole(walk->map->blocks[i], dirty);
        walk->pending_pages += dirty->count;
    }
    walk->syncs++;
    walk->block = walk->untouched_block = 0;
    walk->page = walk->untouched_page = 0;
    memset(&walk->nobody, 0, sizeof(walk->nobody));
    pthread_mutex_unlock(&walk->lock);
    return again;
}

int walk_each_dirty_run(struct page_walk *walk, walk_run_fn *fn, void *opaque)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < walk->map->count; i++) {
        const struct dirty_map *dirty = &walk->dirty[i];
        uint64_t first = 0, run = 0;

        while (ret == 0 && (run = dirty_next_run(dirty, first + run, dirty->pages, &first)) > 0)
            ret = fn(opaque, walk->map->blocks[i], first, run);
    }
    return ret;
}

/* ---- with the lock held ---------------------------------------------------------------------------------------- */

/* The walk stands at a dirty page, wherever there is one. */
static bool find_around(struct page_walk *walk)
{
    unsigned count = walk->map->count;
    uint64_t next;

    if (walk->block >= count) {
        walk->block = 0;
        walk->page = 0;
    }
    for (unsigned i = 0; count > 0 && i <= count; i++) {
        const struct dirty_map *dirty = &walk->dirty[walk->block];

        if (dirty->count > 0 && dirty_next_run(dirty, walk->page, 1, &next) > 0) {
            walk->page = next;
            return true;
        }
        walk->block = (walk->block + 1) % count;
        walk->page = 0;
    }
    return false;
}

/* Out of the map, into the claim. */
static void claim_whole(struct page_walk *walk, struct walk_claim *claim, const struct ram_block *block, uint64_t page)
{
    uint64_t host = walk_host_pages(block), first = page / host * host, taken;

    *claim = (struct walk_claim){
        .sync = walk->syncs,
        .block = block->index,
        .page = first,
        .end = first + host < block->pages ? first + host : block->pages,
        .whole = true,
    };
    (void)dirty_take_run(&walk->dirty[block->index], first, claim->end - first, &taken);
}

static bool fill_from_claim(const struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch)
{
    if (!claim->whole || claim->sync != walk->syncs || claim->page == claim->end)
        return false;
    batch->block = walk->map->blocks[claim->block];
    while (batch->count < batch->limit && claim->page < claim->end)
        batch->pages[batch->count++] = claim->page++;
    return true;
}

bool walk_fill_postcopy(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch)
{
    if (!claim)
        claim = &walk->nobody;
    if (claim->sync != walk->syncs || claim->whole) {
        if (fill_from_claim(walk, claim, batch))
            return true;
        *claim = (struct walk_claim){ .sync = walk->syncs };
    }
    for (;;) {
        if (claim->page < claim->end) {
            batch->block = walk->map->blocks[claim->block];
            batch_fill(batch, &walk->dirty[claim->block], &claim->page, claim->end);
        }
        if (batch->count == batch->limit || !find_around(walk))
            return batch->count > 0;
        /* A batch is of one block and ascends, while the walk may have come around or been moved. */
        if (batch->count > 0 && (walk->block != claim->block || walk->page < claim->end))
            return true;
        if (walk_host_pages(walk->map->blocks[walk->block]) > 1) {
            claim_whole(walk, claim, walk->map->blocks[walk->block], walk->page);
            walk->page = claim->end;
            return fill_from_claim(walk, claim, batch);
        }
        walk_claim_next(walk, claim);
    }
}

/* ---- those that were asked for --------------------------------------------------------------------------------- */

static bool take_host_page(struct page_walk *walk, struct walk_claim *claim, const struct ram_block *block,
                           uint64_t page, struct page_batch *batch)
{
    struct dirty_map *dirty = &walk->dirty[block->index];

    if (!dirty_test(dirty, page))
        return false;
    if (walk_host_pages(block) > 1) {
        claim_whole(walk, claim, block, page);
        return fill_from_claim(walk, claim, batch);
    }
    dirty_clear(dirty, page);
    batch->block = block;
    batch->pages[batch->count++] = page;
    return true;
}

static void take_near(struct page_walk *walk, struct walk_near *near, struct page_batch *batch)
{
    struct dirty_map *dirty = &walk->dirty[near->block->index];

    batch->block = near->block;
    while (near->count > 0 && batch->count < batch->limit) {
        if (near->first >= near->block->pages) { /* also where a stride led below 0 */
            near->count = 0;
            break;
        }
        if (dirty_test(dirty, near->first)) {
            dirty_clear(dirty, near->first);
            batch->pages[batch->count++] = near->first;
        }
        near->first += (uint64_t)near->stride;
        near->count--;
    }
}

/* A batch ascends. */
static void turn_around(struct page_batch *batch)
{
    for (unsigned low = 0, high = batch->count; low + 1 < high; low++) {
        uint64_t page = batch->pages[low];

        batch->pages[low] = batch->pages[--high];
        batch->pages[high] = page;
    }
}

static void begin_batch(struct page_walk *walk, struct page_batch *batch)
{
    batch->count = 0;
    batch->normal = 0;
    pthread_mutex_lock(&walk->lock);
}

static bool end_batch(struct page_walk *walk, struct page_batch *batch)
{
    walk->pending_pages -= batch->count;
    pthread_mutex_unlock(&walk->lock);
    if (batch->count > 0)
        batch_split_zero(batch, walk->populated ? &walk->populated[batch->block->index] : NULL);
    return batch->count > 0;
}

bool walk_take_host_page(struct page_walk *walk, struct walk_claim *claim, const struct ram_block *block, uint64_t page,
                         struct page_batch *batch)
{
    begin_batch(walk, batch);
    (void)take_host_page(walk, claim, block, page, batch);
    return end_batch(walk, batch);
}

bool walk_take_rest(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch)
{
    begin_batch(walk, batch);
    (void)fill_from_claim(walk, claim, batch);
    return end_batch(walk, batch);
}

bool walk_take_near(struct page_walk *walk, struct walk_near *near, struct page_batch *batch)
{
    if (walk_host_pages(near->block) > 1)
        near->count = 0;
    begin_batch(walk, batch);
    take_near(walk, near, batch);
    if (near->stride < 0)
        turn_around(batch);
    return end_batch(walk, batch);
}

void walk_jump(struct page_walk *walk, const struct ram_block *block, uint64_t page)
{
    uint64_t host = walk_host_pages(block);

    pthread_mutex_lock(&walk->lock);
    if (walk->postcopy) {
        walk->block = block->index;
        walk->page = (page / host + 1) * host;
    }
    pthread_mutex_unlock(&walk->lock);
}
