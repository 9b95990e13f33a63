/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_postcopy.c - which pages are awaited after the switch, which came, and how often
 *
 *              seen   awaited   after   earlier
 *      DISCARD  0        1
 *      a page   1        0        1                    again: a duplicate; seen before and not awaited: unannounced
 *      a break  bitmap   ~bitmap  0       came and is not in the bitmap: may come again
 */
#include "inspect_postcopy.h"

#include "bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SWEEPS_MAX 4 /* how often all memory may be discarded: once would do */

/* ---- bits ------------------------------------------------------------------------------------------------------ */

static bool has(const uint64_t *bits, uint64_t i)
{
    return bits && (bits[i / 64] >> (i % 64) & 1);
}

static void set(uint64_t *bits, uint64_t i, bool value)
{
    if (bits && value)
        bits[i / 64] |= UINT64_C(1) << (i % 64);
    else if (bits)
        bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static uint64_t count_bits(const uint64_t *bits, uint64_t pages)
{
    uint64_t count = 0;

    for (uint64_t word = 0; bits && word < bits_words(pages); word++)
        count += (unsigned)__builtin_popcountll(bits[word]);
    return count;
}

static uint64_t *seen_of(const struct inspect_postcopy *postcopy, unsigned block)
{
    return postcopy->ram->blocks[block]->seen;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

static int know_blocks(struct inspect_postcopy *postcopy, struct ferry_error *err)
{
    if (postcopy->blocks || postcopy->ram->count == 0)
        return 0;
    postcopy->blocks = calloc(postcopy->ram->count, sizeof(postcopy->blocks[0]));
    if (!postcopy->blocks)
        return ferry_error_set(err, -ENOMEM, "no memory for the blocks");
    postcopy->count = postcopy->ram->count;
    return 0;
}

/* Room for the bits of a block, unless its pages are not counted at all. */
static int know_pages(struct inspect_postcopy *postcopy, unsigned index, struct ferry_error *err)
{
    const struct inspect_ram_block *from = postcopy->ram->blocks[index];
    struct postcopy_block *block = &postcopy->blocks[index];
    size_t words = bits_words(from->block.pages);

    if (!from->seen || block->earlier || postcopy->ram->total_bytes >> FERRY_PAGE_SHIFT > POSTCOPY_PAGES_MAX)
        return 0;
    if (!block->awaited)
        block->awaited = calloc(words, sizeof(uint64_t));
    if (!block->after)
        block->after = calloc(words, sizeof(uint64_t));
    if (block->awaited && block->after)
        block->earlier = calloc(words, sizeof(uint64_t));
    return block->earlier
               ? 0
               : ferry_error_set(err, -ENOMEM, "block '%s': no memory for a bit per page", from->block.info.name);
}

struct inspect_postcopy *postcopy_new(struct inspect_ram *ram, struct report_returns *returns)
{
    struct inspect_postcopy *postcopy = calloc(1, sizeof(*postcopy));

    if (!postcopy)
        return NULL;
    pthread_mutex_init(&postcopy->lock, NULL);
    postcopy->ram = ram;
    postcopy->returns = returns;
    return postcopy;
}

void postcopy_free(struct inspect_postcopy *postcopy)
{
    if (!postcopy)
        return;
    for (unsigned i = 0; i < postcopy->count; i++) {
        free(postcopy->blocks[i].awaited);
        free(postcopy->blocks[i].after);
        free(postcopy->blocks[i].earlier);
    }
    for (unsigned i = 0; i < postcopy->wires; i++)
        free(postcopy->wire[i].label);
    free(postcopy->blocks);
    pthread_mutex_destroy(&postcopy->lock);
    free(postcopy);
}

bool postcopy_listens(const struct inspect_postcopy *postcopy)
{
    return postcopy && postcopy->phase >= POSTCOPY_LISTENING;
}

/* ---- before the switch ----------------------------------------------------------------------------------------- */

int postcopy_discard(struct inspect_postcopy *postcopy, const struct ram_block *block, uint64_t first, uint64_t pages,
                     struct ferry_error *err)
{
    struct postcopy_block *here;
    int ret = know_blocks(postcopy, err);

    if (ret == 0)
        ret = know_pages(postcopy, block->index, err);
    if (ret < 0)
        return ret;
    here = &postcopy->blocks[block->index];
    postcopy->ranges++;
    postcopy->swept += pages;
    if (postcopy->swept > SWEEPS_MAX * (postcopy->ram->total_bytes >> FERRY_PAGE_SHIFT))
        return ferry_error_set(err, -E2BIG, "block '%s': the same memory is discarded again and again",
                               block->info.name);
    if (!here->awaited) {
        postcopy->discarded += pages;
        return 0;
    }
    postcopy->discarded += bits_set_range(here->awaited, first, pages);
    pthread_mutex_lock(&postcopy->ram->lock);
    for (uint64_t at = first, end = first + pages; at < end;) {
        uint64_t *word = &seen_of(postcopy, block->index)[at / 64];

        *word &= ~bits_mask(&at, end);
    }
    pthread_mutex_unlock(&postcopy->ram->lock);
    return 0;
}

int postcopy_listen(struct inspect_postcopy *postcopy, struct ferry_error *err)
{
    int ret = know_blocks(postcopy, err);

    for (unsigned i = 0; ret == 0 && i < postcopy->count; i++)
        ret = know_pages(postcopy, i, err);
    if (ret == 0)
        ret = returns_sort(postcopy->returns, postcopy->ram->loader.blocks, postcopy->ram->loader.count, err);
    return ret;
}

/* ---- after it -------------------------------------------------------------------------------------------------- */

int postcopy_add_wire(struct inspect_postcopy *postcopy, const char *label, enum postcopy_wire_kind kind,
                      struct ferry_error *err)
{
    char *own = strdup(label);
    int ret = own ? 0 : -ENOMEM;

    pthread_mutex_lock(&postcopy->lock);
    if (ret == 0 && postcopy->wires == POSTCOPY_WIRES_MAX)
        ret = -E2BIG;
    if (ret == 0) {
        ret = (int)postcopy->wires++;
        postcopy->wire[ret] = (struct postcopy_wire){ .label = own, .kind = kind };
        own = NULL;
    }
    pthread_mutex_unlock(&postcopy->lock);
    free(own);
    if (ret < 0)
        ferry_error_set(err, ret, ret == -E2BIG ? "%s: too many connections" : "%s: no memory for a connection", label);
    return ret;
}

/* It is not put in place: what is there already may have been written by the guest. */
static void one_too_many(struct inspect_postcopy *postcopy, unsigned wire, uint64_t offset,
                         const struct ram_block *block, uint64_t page, uint64_t *count)
{
    ++*count;
    if (postcopy->first.block)
        return;
    postcopy->first.wire = wire;
    postcopy->first.offset = offset;
    postcopy->first.page = page;
    postcopy->first.block = block->info.name;
}

int postcopy_came(struct inspect_postcopy *postcopy, unsigned wire, uint64_t offset, const struct ram_block *block,
                  uint64_t page, const uint8_t *data, struct ferry_error *err)
{
    struct postcopy_block *here = &postcopy->blocks[block->index];
    struct packet_run run = { page, 1 };
    int ret = 0;

    pthread_mutex_lock(&postcopy->lock);
    postcopy->pages++;
    *(data ? &postcopy->wire[wire].normal : &postcopy->wire[wire].zero) += 1;
    if (returns_came(postcopy->returns, postcopy->breaks, block->index, page, wire, offset, postcopy->pages))
        postcopy->asked++;
    if (has(here->after, page)) {
        one_too_many(postcopy, wire, offset, block, page, &postcopy->duplicates);
    } else if (here->after && has(seen_of(postcopy, block->index), page) && !has(here->earlier, page)) {
        one_too_many(postcopy, wire, offset, block, page, &postcopy->unannounced);
    } else {
        postcopy->again += has(here->earlier, page);
        ret = inspect_ram_put(postcopy->ram, block, &run, data, err);
    }
    set(here->after, page, true);
    set(here->awaited, page, false);
    set(here->earlier, page, false);
    pthread_mutex_unlock(&postcopy->lock);
    return ret;
}

void postcopy_forget(struct inspect_postcopy *postcopy, const struct ram_block *block, uint64_t first, uint64_t pages)
{
    struct postcopy_block *here = &postcopy->blocks[block->index];

    pthread_mutex_lock(&postcopy->lock);
    for (uint64_t page = first; page < first + pages; page++) {
        set(seen_of(postcopy, block->index), page, false);
        set(here->after, page, false);
        set(here->awaited, page, true);
    }
    pthread_mutex_unlock(&postcopy->lock);
}

uint64_t postcopy_still_awaited(struct inspect_postcopy *postcopy)
{
    pthread_mutex_lock(&postcopy->lock);
    postcopy->awaited = 0;
    for (unsigned i = 0; i < postcopy->count; i++)
        postcopy->awaited += count_bits(postcopy->blocks[i].awaited, postcopy->ram->blocks[i]->block.pages);
    pthread_mutex_unlock(&postcopy->lock);
    return postcopy->awaited;
}

/* ---- after a break --------------------------------------------------------------------------------------------- */

/* Until a bitmap says more, whatever came after the switch may come once more. */
void postcopy_broke(struct inspect_postcopy *postcopy)
{
    pthread_mutex_lock(&postcopy->lock);
    postcopy->breaks++;
    for (unsigned i = 0; i < postcopy->count; i++) {
        struct postcopy_block *block = &postcopy->blocks[i];

        for (size_t word = 0; block->after && word < bits_words(postcopy->ram->blocks[i]->block.pages); word++) {
            block->earlier[word] |= block->after[word];
            block->after[word] = 0;
        }
    }
    pthread_mutex_unlock(&postcopy->lock);
}

int postcopy_received(struct inspect_postcopy *postcopy, unsigned wire, const struct ram_block *block,
                      const struct return_bitmap *bitmap, struct ferry_error *err)
{
    struct postcopy_block *here = &postcopy->blocks[block->index];
    struct postcopy_wire *to = &postcopy->wire[wire];
    uint64_t *seen = seen_of(postcopy, block->index), bytes = bits_words(block->pages) * sizeof(uint64_t);

    if (bitmap->bytes != bytes)
        return ferry_error_set_code(err, FERRY_E_BAD_RETURN_MESSAGE, -EPROTO,
                                    "the return path answers recv-bitmap '%s' with %" PRIu64 " bytes, but %" PRIu64
                                    " pages take %" PRIu64,
                                    block->info.name, bitmap->bytes, block->pages, bytes);
    if (here->answered == postcopy->breaks)
        return ferry_error_set(err, -EPROTO, "command recv-bitmap '%s' for the second time", block->info.name);
    here->answered = postcopy->breaks;
    pthread_mutex_lock(&postcopy->lock);
    to->bitmaps++;
    for (uint64_t page = 0; page < block->pages; page++) {
        bool received = bitmap->bits[page / 8] >> (page % 8) & 1, came = has(seen, page);

        to->received += received;
        to->lost += came && !received;
        to->claimed += received && !came && here->after;
        /* The source sends all again that is not there. */
        set(here->after, page, received && has(here->earlier, page));
        set(here->awaited, page, !received);
        set(here->earlier, page, !received && came);
    }
    pthread_mutex_unlock(&postcopy->lock);
    return 0;
}
