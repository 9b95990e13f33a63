/* SPDX-License-Identifier: BSD-3-Clause */
/* page_suspects.c - pages whose last copy did not fit its checksum */
#include "page_suspects.h"

#include "bits.h"

#include <errno.h>
#include <stdlib.h>

struct page_suspects *page_suspects_new(void)
{
    return calloc(1, sizeof(struct page_suspects));
}

void page_suspects_free(struct page_suspects *suspects)
{
    for (unsigned i = 0; suspects && i < FERRY_BLOCKS_MAX; i++)
        free(atomic_load(&suspects->words[i]));
    free(suspects);
}

/* The block's bits, made if they are not there yet. */
static _Atomic(uint64_t) *make_words(struct page_suspects *suspects, const struct ram_block *block)
{
    _Atomic(_Atomic(uint64_t) *) *at = &suspects->words[block->index];
    _Atomic(uint64_t) *words = atomic_load(at), *other = NULL;

    if (words)
        return words;
    words = calloc(bits_words(block->pages), sizeof(*words));
    if (words && !atomic_compare_exchange_strong(at, &other, words)) {
        free(words);
        words = other;
    }
    return words;
}

int page_suspects_add(struct page_suspects *suspects, const struct ram_block *block, uint64_t page,
                      struct ferry_error *err)
{
    _Atomic(uint64_t) *words = make_words(suspects, block);

    if (!words)
        return ferry_error_set(err, -ENOMEM, "no memory to note that page %ju of block '%s' came damaged",
                               (uintmax_t)page, block->info.name);
    atomic_fetch_or_explicit(&words[page / 64], UINT64_C(1) << (page % 64), memory_order_relaxed);
    return 0;
}

void page_suspects_clear(struct page_suspects *suspects, const struct ram_block *block, uint64_t first, uint64_t count)
{
    _Atomic(uint64_t) *words = atomic_load(&suspects->words[block->index]);
    uint64_t end = first + count;

    while (words && first < end) {
        _Atomic(uint64_t) *word = &words[first / 64];
        uint64_t mask = bits_mask(&first, end);

        if (atomic_load_explicit(word, memory_order_relaxed) & mask)
            atomic_fetch_and_explicit(word, ~mask, memory_order_relaxed);
    }
}

uint64_t page_suspects_find(struct page_suspects *suspects, const struct ram_map *map, const struct ram_block **block,
                            uint64_t *page)
{
    uint64_t found = 0;

    for (unsigned i = 0; i < map->count; i++) {
        _Atomic(uint64_t) *words = atomic_load(&suspects->words[map->blocks[i]->index]);

        for (size_t w = 0; words && w < bits_words(map->blocks[i]->pages); w++) {
            uint64_t word = atomic_load_explicit(&words[w], memory_order_relaxed);

            if (word && found == 0) {
                *block = map->blocks[i];
                *page = w * 64 + (uint64_t)__builtin_ctzll(word);
            }
            found += (uint64_t)__builtin_popcountll(word);
        }
    }
    return found;
}
