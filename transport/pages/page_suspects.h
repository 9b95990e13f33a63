/* SPDX-License-Identifier: BSD-3-Clause */
/* page_suspects.h - pages whose last copy did not fit its checksum
 *
 * The guest may have written such a page between its sum and its sending; then it comes again, and a copy that fits
 * clears it.  One bit per page, made for a block when the first is found there.
 *
 * Thread: any, several at once on different pages; page_suspects_find() while nobody else is there.
 */
#ifndef PAGES_PAGE_SUSPECTS_H
#define PAGES_PAGE_SUSPECTS_H

#include "ram_map.h"

#include <stdatomic.h>
#include <stdbool.h>

struct page_suspects {
    _Atomic(_Atomic(uint64_t) *) words[FERRY_BLOCKS_MAX]; /* owned, by block index; NULL: none in this block */
};

/* NULL when out of memory. */
struct page_suspects *page_suspects_new(void);
void page_suspects_free(struct page_suspects *suspects);

int page_suspects_add(struct page_suspects *suspects, const struct ram_block *block, uint64_t page,
                      struct ferry_error *err);

/* These pages were replaced by copies that are right. */
void page_suspects_clear(struct page_suspects *suspects, const struct ram_block *block, uint64_t first, uint64_t count);

/* The first one that is left, and how many there are; 0: none.  The blocks of @map may stand in another order than that
 * of their numbers. */
uint64_t page_suspects_find(struct page_suspects *suspects, const struct ram_map *map, const struct ram_block **block,
                            uint64_t *page);

#endif
