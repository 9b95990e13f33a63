/* SPDX-License-Identifier: BSD-3-Clause */
/* page_zeros.c - zero pages that no packet may hold: they travel in the main stream */
#include "page_zeros.h"

#include "atomic_bits.h"
#include "bits.h"
#include "ram_section.h"

#include <stdlib.h>

struct page_zeros {
    const struct ram_map *map; /* borrowed */
    atomic_word *words[];      /* owned, one array per block, by its index */
};

struct page_zeros *page_zeros_new(const struct ram_map *map)
{
    struct page_zeros *zeros = calloc(1, sizeof(*zeros) + map->count * sizeof(zeros->words[0]));

    if (!zeros)
        return NULL;
    zeros->map = map;
    for (unsigned i = 0; i < map->count; i++) {
        zeros->words[map->blocks[i]->index] = calloc(bits_words(map->blocks[i]->pages), sizeof(atomic_word));
        if (!zeros->words[map->blocks[i]->index]) {
            page_zeros_free(zeros);
            return NULL;
        }
    }
    return zeros;
}

void page_zeros_free(struct page_zeros *zeros)
{
    if (!zeros)
        return;
    for (unsigned i = 0; i < zeros->map->count; i++)
        free(zeros->words[i]);
    free(zeros);
}

unsigned page_zeros_add(struct page_zeros *zeros, struct page_batch *batch)
{
    atomic_word *words = zeros->words[batch->block->index];
    unsigned count = batch->count - batch->normal, run;

    for (unsigned i = batch->normal; i < batch->count; i += run) {
        for (run = 1; i + run < batch->count && batch->pages[i + run] == batch->pages[i] + run;)
            run++;
        atomic_bits_set(words, batch->pages[i], run);
    }
    batch->count = batch->normal;
    return count;
}

static void put_block(atomic_word *words, struct ferry_writer *writer, const struct ram_block **last,
                      const struct ram_block *block)
{
    uint64_t page = 0, run;

    while ((page += atomic_bits_run(words, page, block->pages - page, false)) < block->pages) {
        run = atomic_bits_run(words, page, block->pages - page, true);
        ram_put_zeros(writer, last, block, page, run);
        atomic_bits_clear(words, page, run);
        page += run;
    }
}

void page_zeros_put(struct page_zeros *zeros, struct ferry_writer *writer, const struct ram_block **last)
{
    for (unsigned i = 0; i < zeros->map->count; i++)
        put_block(zeros->words[zeros->map->blocks[i]->index], writer, last, zeros->map->blocks[i]);
}
