/* SPDX-License-Identifier: BSD-3-Clause */
/* batch.h - some pages of one block: the unit of all page work
 *
 *      pages[]:  | pages with content ... | zero pages ... |
 *                0                     normal            count
 */
#ifndef MEMORY_BATCH_H
#define MEMORY_BATCH_H

#include "dirty.h"
#include "ram_map.h"

#define BATCH_PAGES     128 /* unless both sides agreed to more */
#define BATCH_PAGES_MAX 512

struct page_batch {
    const struct ram_block *block;
    unsigned limit;                  /* the most pages it may hold */
    unsigned count;                  /* pages in all */
    unsigned normal;                 /* of these, how many have content: meaningful after batch_split_zero() */
    uint64_t pages[BATCH_PAGES_MAX]; /* page numbers in the block, ascending within each part */
};

/**
 * batch_fill() - take dirty pages at or after *from and before @end, clearing their bits
 *
 * Returns the number taken (0: none left there, or no room); *from moves behind the last one.
 */
unsigned batch_fill(struct page_batch *batch, struct dirty_map *dirty, uint64_t *from, uint64_t end);

/**
 * batch_split_zero() - sort the zero pages to the end
 * @populated: pages whose bit is clear are zero and are not read; NULL: all are read
 */
void batch_split_zero(struct page_batch *batch, const struct dirty_map *populated);

#endif
