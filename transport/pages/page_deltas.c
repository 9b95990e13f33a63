/* SPDX-License-Identifier: BSD-3-Clause */
/* page_deltas.c - of which pages it is known what the other end has: what the channels of a session share for deltas */
#include "page_deltas.h"

#include <stdlib.h>
#include <string.h>

struct page_deltas {
    struct delta_cache *cache; /* owned */
    uint8_t *known;            /* owned; by key */
    uint64_t base[];           /* the key of each block's first page: one block after the other */
};

struct page_deltas *page_deltas_new(const struct ram_map *map)
{
    struct page_deltas *deltas = calloc(1, sizeof(*deltas) + map->count * sizeof(deltas->base[0]));
    uint64_t pages = 0;

    if (!deltas)
        return NULL;
    for (unsigned i = 0; i < map->count; i++) {
        deltas->base[map->blocks[i]->index] = pages;
        pages += map->blocks[i]->pages;
    }
    deltas->known = calloc(1, pages ? pages : 1);
    deltas->cache = delta_cache_new(0, FERRY_PAGE_BYTES);
    if (deltas->known && deltas->cache)
        return deltas;
    page_deltas_free(deltas);
    return NULL;
}

void page_deltas_free(struct page_deltas *deltas)
{
    if (!deltas)
        return;
    delta_cache_free(deltas->cache);
    free(deltas->known);
    free(deltas);
}

struct delta_cache *page_deltas_cache(const struct page_deltas *deltas)
{
    return deltas->cache;
}

uint64_t page_deltas_key(const struct page_deltas *deltas, const struct ram_block *block, uint64_t page)
{
    return deltas->base[block->index] + page;
}

void page_deltas_note(struct page_deltas *deltas, const struct ram_block *block, uint64_t first, uint64_t count,
                      bool known)
{
    memset(deltas->known + page_deltas_key(deltas, block, first), known, count);
}

bool page_deltas_known(const struct page_deltas *deltas, uint64_t key)
{
    return deltas->known[key];
}
