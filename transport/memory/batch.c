/* SPDX-License-Identifier: BSD-3-Clause */
/* batch.c - some pages of one block: the unit of all page work */
#include "batch.h"

#include "zero.h"

#include <string.h>

#define LOOK_AHEAD 8 /* pages: the first bytes of a page tell that it is not zero, and are not in the cache */

unsigned batch_fill(struct page_batch *batch, struct dirty_map *dirty, uint64_t *from, uint64_t end)
{
    unsigned taken = 0;

    while (batch->count < batch->limit && *from < end) {
        uint64_t first;
        uint64_t run = dirty_next_run(dirty, *from, batch->limit - batch->count, &first);

        if (!run || first >= end)
            break;
        run = dirty_take_run(dirty, first, run < end - first ? run : end - first, &first);
        for (uint64_t i = 0; i < run; i++)
            batch->pages[batch->count++] = first + i;
        taken += (unsigned)run;
        *from = first + run;
    }
    return taken;
}

static bool batch_page_is_zero(const struct page_batch *batch, const struct dirty_map *populated, uint64_t page)
{
    if (populated && !dirty_test(populated, page))
        return true;
    return zero_test(batch->block->host + (page << FERRY_PAGE_SHIFT), FERRY_PAGE_BYTES);
}

void batch_split_zero(struct page_batch *batch, const struct dirty_map *populated)
{
    uint64_t zero[BATCH_PAGES_MAX];
    unsigned zeros = 0;

    batch->normal = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        if (i + LOOK_AHEAD < batch->count)
            __builtin_prefetch(batch->block->host + (batch->pages[i + LOOK_AHEAD] << FERRY_PAGE_SHIFT));
        if (batch_page_is_zero(batch, populated, batch->pages[i]))
            zero[zeros++] = batch->pages[i];
        else
            batch->pages[batch->normal++] = batch->pages[i];
    }
    memcpy(batch->pages + batch->normal, zero, zeros * sizeof(zero[0]));
}
