/* SPDX-License-Identifier: BSD-3-Clause */
/* dirty.h - which pages of a block still have to be sent: one bit per page
 *
 * Used by the migration thread alone.
 */
#ifndef MEMORY_DIRTY_H
#define MEMORY_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

struct dirty_map {
    uint64_t *words; /* owned */
    uint64_t pages;
    uint64_t count; /* bits set */
};

/* All bits clear.  Returns 0 or -ENOMEM. */
int dirty_init(struct dirty_map *map, uint64_t pages);
void dirty_clear_memory(struct dirty_map *map);

void dirty_set_all(struct dirty_map *map);
void dirty_clear_all(struct dirty_map *map);
/* Pages past the end: never set, and setting or clearing them does nothing. */
bool dirty_test(const struct dirty_map *map, uint64_t page);
void dirty_set_range(struct dirty_map *map, uint64_t first, uint64_t count);
void dirty_clear(struct dirty_map *map, uint64_t page);

/* OR @words (as many as map->pages needs; bits past the end are ignored) in; returns how many bits became set. */
uint64_t dirty_or(struct dirty_map *map, const uint64_t *words);

/**
 * dirty_next_run() - the first run of set bits at or after @from
 * @max: longest run wanted
 *
 * Returns its length, 0 when there is none; *first is where it starts.  Does not clear: see dirty_take_run().
 */
uint64_t dirty_next_run(const struct dirty_map *map, uint64_t from, uint64_t max, uint64_t *first);

/* The same, and clears it: the bits go *before* the pages are read, so a write that races sets them again. */
uint64_t dirty_take_run(struct dirty_map *map, uint64_t from, uint64_t max, uint64_t *first);

#endif
