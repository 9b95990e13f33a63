/* SPDX-License-Identifier: BSD-3-Clause */
/* page_deltas.h - of which pages it is known what the other end has: what the channels of a session share for deltas
 *
 * A delta is legal only against what the destination has.  Copies of that are in the cache of the encoders; whether a
 * copy is still true stands here, a byte per page: a page may have gone another way since.  A page is one channel's at
 * a time, and no channel sends it again before all have come to the end of the round: so it needs no lock.
 */
#ifndef PAGES_PAGE_DELTAS_H
#define PAGES_PAGE_DELTAS_H

#include "delta_cache.h"
#include "ram_map.h"

#include <stdbool.h>

struct page_deltas;

/* Nothing is known.  NULL when out of memory. */
struct page_deltas *page_deltas_new(const struct ram_map *map);

/* NULL is legal. */
void page_deltas_free(struct page_deltas *deltas);

/* Where the copies are; borrowed. */
struct delta_cache *page_deltas_cache(const struct page_deltas *deltas);

/* What tells a page from all others. */
uint64_t page_deltas_key(const struct page_deltas *deltas, const struct ram_block *block, uint64_t page);

/* These pages have gone: their copies are true, or are not. */
void page_deltas_note(struct page_deltas *deltas, const struct ram_block *block, uint64_t first, uint64_t count,
                      bool known);

bool page_deltas_known(const struct page_deltas *deltas, uint64_t key);

#endif
