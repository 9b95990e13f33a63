/* SPDX-License-Identifier: BSD-3-Clause */
/* dirty.c - which pages of a block still have to be sent
 *
 * Bits past the last page are never set, so runs and counts need no care at the end.
 *
 *     bit   0 1 1 1 0 0 1 0      runs: {1,3} {6,1}
 */
#include "dirty.h"

#include "bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int dirty_init(struct dirty_map *map, uint64_t pages)
{
    size_t words = bits_words(pages);

    memset(map, 0, sizeof(*map));
    map->words = calloc(words ? words : 1, sizeof(*map->words));
    if (!map->words)
        return -ENOMEM;
    map->pages = pages;
    return 0;
}

void dirty_clear_memory(struct dirty_map *map)
{
    free(map->words);
    memset(map, 0, sizeof(*map));
}

void dirty_set_all(struct dirty_map *map)
{
    bits_set_range(map->words, 0, map->pages);
    map->count = map->pages;
}

void dirty_clear_all(struct dirty_map *map)
{
    memset(map->words, 0, bits_words(map->pages) * sizeof(*map->words));
    map->count = 0;
}

bool dirty_test(const struct dirty_map *map, uint64_t page)
{
    return page < map->pages && (map->words[page / 64] >> (page % 64) & 1);
}

void dirty_set_range(struct dirty_map *map, uint64_t first, uint64_t count)
{
    if (first >= map->pages)
        return;
    if (count > map->pages - first)
        count = map->pages - first;
    map->count += bits_set_range(map->words, first, count);
}

void dirty_clear(struct dirty_map *map, uint64_t page)
{
    if (!dirty_test(map, page))
        return;
    map->words[page / 64] &= ~(UINT64_C(1) << (page % 64));
    map->count--;
}

uint64_t dirty_or(struct dirty_map *map, const uint64_t *words)
{
    size_t count = bits_words(map->pages);
    uint64_t became = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t fresh = words[i] & ~map->words[i];

        if (i == count - 1 && map->pages % 64)
            fresh &= (UINT64_C(1) << (map->pages % 64)) - 1;
        if (!fresh)
            continue;
        map->words[i] |= fresh;
        became += (uint64_t)__builtin_popcountll(fresh);
    }
    map->count += became;
    return became;
}

/* The first bit from @from up to @end that, once @flip is applied, is set; @end or more if there is none. */
static uint64_t dirty_find(const struct dirty_map *map, uint64_t from, uint64_t end, uint64_t flip)
{
    size_t word = from / 64;
    uint64_t bits;

    if (from >= end)
        return end;
    bits = (map->words[word] ^ flip) & (UINT64_MAX << (from % 64));
    while (!bits) {
        if (++word * 64 >= end)
            return end;
        bits = map->words[word] ^ flip;
    }
    return word * 64 + (uint64_t)__builtin_ctzll(bits);
}

uint64_t dirty_next_run(const struct dirty_map *map, uint64_t from, uint64_t max, uint64_t *first)
{
    uint64_t start = dirty_find(map, from, map->pages, 0);
    uint64_t limit, end;

    if (start >= map->pages || !max)
        return 0;
    *first = start;
    limit = max < map->pages - start ? start + max : map->pages;
    end = dirty_find(map, start, limit, UINT64_MAX);
    return (end < limit ? end : limit) - start;
}

uint64_t dirty_take_run(struct dirty_map *map, uint64_t from, uint64_t max, uint64_t *first)
{
    uint64_t run = dirty_next_run(map, from, max, first);
    uint64_t at, end;

    if (!run)
        return 0;
    at = *first;
    end = at + run;
    while (at < end) {
        uint64_t *word = &map->words[at / 64];

        *word &= ~bits_mask(&at, end);
    }
    map->count -= run;
    return run;
}
