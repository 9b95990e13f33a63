/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_deltas.c - pages of the main stream as their difference from what the destination has
 *
 * The guest writes on: what is compared, sent and kept is one copy of the page.  A zero page leaves zeros in the place
 * of its copy, for that is what the destination has then.
 */
#include "ram_deltas.h"

#include "page_deltas.h"
#include "ram_section.h"
#include "xbzrle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ram_deltas {
    struct page_deltas *keys;      /* owned; which cache, and under which key */
    uint64_t count;                /* pages that went so */
    uint8_t now[FERRY_PAGE_BYTES]; /* the page */
    uint8_t delta[FERRY_PAGE_BYTES];
};

struct ram_deltas *ram_deltas_new(const struct ram_map *map)
{
    struct ram_deltas *deltas = calloc(1, sizeof(*deltas));

    if (!deltas)
        return NULL;
    deltas->keys = page_deltas_new(map);
    if (deltas->keys)
        return deltas;
    free(deltas);
    return NULL;
}

void ram_deltas_free(struct ram_deltas *deltas)
{
    if (!deltas)
        return;
    page_deltas_free(deltas->keys);
    free(deltas);
}

/* How the page in deltas->now goes: bytes of its delta, 0: not at all, -ENOSPC: whole.  It is what is kept then. */
static int make_delta(struct ram_deltas *deltas, uint64_t key)
{
    struct delta_cache *cache = page_deltas_cache(deltas->keys);
    struct delta_place place = delta_cache_hold(cache, key);
    int bytes = -ENOSPC;

    if (*place.key == key)
        bytes = xbzrle_encode(place.page, deltas->now, FERRY_PAGE_BYTES, deltas->delta, sizeof(deltas->delta) - 1);
    if (bytes != 0)
        memcpy(place.page, deltas->now, FERRY_PAGE_BYTES);
    *place.key = key;
    delta_cache_drop(cache, key);
    return bytes;
}

static void put_page(struct ram_deltas *deltas, struct ferry_writer *writer, const struct ram_block **last,
                     const struct ram_block *block, uint64_t page)
{
    int bytes;

    memcpy(deltas->now, block->host + (page << FERRY_PAGE_SHIFT), FERRY_PAGE_BYTES);
    bytes = make_delta(deltas, page_deltas_key(deltas->keys, block, page));
    deltas->count += bytes >= 0;
    if (bytes < 0)
        ram_put_copy(writer, last, block, page, deltas->now);
    else if (bytes > 0)
        ram_put_delta(writer, last, block, page, deltas->delta, (unsigned)bytes);
}

static void note_zero(struct ram_deltas *deltas, uint64_t key)
{
    struct delta_cache *cache = page_deltas_cache(deltas->keys);
    struct delta_place place = delta_cache_hold(cache, key);

    if (*place.key == key)
        memset(place.page, 0, FERRY_PAGE_BYTES);
    delta_cache_drop(cache, key);
}

void ram_deltas_put_batch(struct ram_deltas *deltas, struct ferry_writer *writer, const struct ram_block **last,
                          const struct page_batch *batch)
{
    for (unsigned i = 0; i < batch->normal; i++)
        put_page(deltas, writer, last, batch->block, batch->pages[i]);
    for (unsigned i = batch->normal; i < batch->count; i++) {
        note_zero(deltas, page_deltas_key(deltas->keys, batch->block, batch->pages[i]));
        ram_put_zeros(writer, last, batch->block, batch->pages[i], 1);
    }
}

uint64_t ram_deltas_count(const struct ram_deltas *deltas)
{
    return deltas->count;
}
