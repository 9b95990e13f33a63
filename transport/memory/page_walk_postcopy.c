/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk_postcopy.c - pages that leave once, and whole host pages through one taker */
#include "page_walk.h"

void walk_begin_postcopy(struct page_walk *walk)
{
    walk->postcopy = true;
}

int walk_each_dirty_run(struct page_walk *walk, walk_run_fn *fn, void *opaque)
{
    return 0;
}

uint64_t walk_host_pages(const struct ram_block *block)
{
    return block->info.page_size / FERRY_PAGE_BYTES;
}

bool walk_take_host_page(struct page_walk *walk, struct walk_claim *claim, const struct ram_block *block, uint64_t page,
                         struct page_batch *batch)
{
    return false;
}

bool walk_take_rest(struct page_walk *walk, struct walk_claim *claim, struct page_batch *batch)
{
    return false;
}

bool walk_take_near(struct page_walk *walk, struct walk_near *near, struct page_batch *batch)
{
    return false;
}

void walk_jump(struct page_walk *walk, const struct ram_block *block, uint64_t page)
{
}
