/* SPDX-License-Identifier: BSD-3-Clause */
/* hot.c - pages that are written all the time, and wait for the end
 *
 * Four bits for each page, worked on 64 pages at a time.
 */
#include "hot.h"

#include "bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct hot_block {
    size_t words;
    uint64_t *now;    /* written in this window */
    uint64_t *before; /* and in the one before */
    uint64_t *hot;    /* in both, when they were over */
    uint64_t *held;
};

struct hot_pages {
    unsigned count;
    uint64_t saved;
    struct hot_block block[];
};

static int init_block(struct hot_block *block, uint64_t pages)
{
    block->words = bits_words(pages);
    block->now = calloc(4 * (block->words ? block->words : 1), sizeof(*block->now));
    if (!block->now)
        return -ENOMEM;
    block->before = block->now + block->words;
    block->hot = block->before + block->words;
    block->held = block->hot + block->words;
    return 0;
}

struct hot_pages *hot_new(const struct ram_map *map, struct ferry_error *err)
{
    struct hot_pages *hot = calloc(1, sizeof(*hot) + map->count * sizeof(hot->block[0]));

    for (; hot && hot->count < map->count; hot->count++) {
        if (init_block(&hot->block[hot->count], map->blocks[hot->count]->pages) < 0) {
            hot_free(hot);
            hot = NULL;
            break;
        }
    }
    if (!hot)
        ferry_error_set(err, -ENOMEM, "no memory to tell which pages are written all the time");
    return hot;
}

void hot_free(struct hot_pages *hot)
{
    for (unsigned i = 0; hot && i < hot->count; i++)
        free(hot->block[i].now);
    free(hot);
}

void hot_written(struct hot_pages *hot, unsigned block, const struct dirty_map *written, struct dirty_map *dirty)
{
    struct hot_block *b = &hot->block[block];

    for (size_t i = 0; i < b->words; i++) {
        hot->saved += (uint64_t)__builtin_popcountll(b->held[i] & written->words[i]);
        b->now[i] |= written->words[i];
    }
    dirty_or(dirty, b->held);
    memset(b->held, 0, b->words * sizeof(*b->held));
}

void hot_judge(struct hot_pages *hot)
{
    for (unsigned n = 0; n < hot->count; n++) {
        struct hot_block *b = &hot->block[n];

        for (size_t i = 0; i < b->words; i++)
            b->hot[i] = b->now[i] & b->before[i];
        memcpy(b->before, b->now, b->words * sizeof(*b->now));
        memset(b->now, 0, b->words * sizeof(*b->now));
    }
}

void hot_cool(struct hot_pages *hot)
{
    for (unsigned n = 0; n < hot->count; n++)
        for (size_t i = 0; i < hot->block[n].words; i++)
            hot->block[n].hot[i] &= hot->block[n].now[i];
}

uint64_t hot_count(const struct hot_pages *hot, const struct dirty_map *dirty)
{
    uint64_t pages = 0;

    for (unsigned n = 0; n < hot->count; n++)
        for (size_t i = 0; i < hot->block[n].words; i++)
            pages += (uint64_t)__builtin_popcountll(hot->block[n].hot[i] & dirty[n].words[i]);
    return pages;
}

uint64_t hot_hold(struct hot_pages *hot, struct dirty_map *dirty)
{
    uint64_t all = 0;

    for (unsigned n = 0; n < hot->count; n++) {
        struct hot_block *b = &hot->block[n];
        uint64_t pages = 0;

        for (size_t i = 0; i < b->words; i++) {
            b->held[i] = b->hot[i] & dirty[n].words[i];
            dirty[n].words[i] &= ~b->held[i];
            pages += (uint64_t)__builtin_popcountll(b->held[i]);
        }
        dirty[n].count -= pages;
        all += pages;
    }
    return all;
}

uint64_t hot_saved(const struct hot_pages *hot)
{
    return hot->saved;
}
