/* SPDX-License-Identifier: BSD-3-Clause */
/* placer.c - the direct placer: pages arrive in guest memory itself
 *
 * Two bits per page are kept, made when a block is first met:
 *
 *     received   a record or a guess has concerned the page: not to be guessed at again
 *     written    its memory was handed out: it may hold anything
 *
 * A page of zeros for memory that reads as zero costs nothing: it is neither written nor read, so a guest's empty
 * memory stays unpopulated.  Where something was written, or where the block was not fresh, it is looked at first and
 * cleared only if something is there.  It is never given back to the kernel (MADV_DONTNEED) instead: a device may have
 * it pinned or an embedder locked, and then the two would no longer see the same page.
 */
#include "placer.h"

#include "bits.h"
#include "log.h"
#include "prefault.h"
#include "zero.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct placer_note {
    _Atomic(uint64_t) *written;
    _Atomic(uint64_t) received[]; /* `written` follows */
};

struct placer_direct {
    struct placer base;
    struct prefault *prefault; /* owned; NULL: none */
    /* Owned, by block index; NULL: not met yet.  `unknown` stands where there was no memory for one: then all of the
     * block counts as written and received. */
    _Atomic(struct placer_note *) notes[FERRY_BLOCKS_MAX];
    struct placer_note unknown;
};

static struct placer_note *placer_note_new(const struct ram_block *block)
{
    size_t words = bits_words(block->pages);
    struct placer_note *note = calloc(1, sizeof(*note) + 2 * words * sizeof(note->received[0]));

    if (note)
        note->written = note->received + words;
    return note;
}

/* NULL: nothing is known of the block. */
static struct placer_note *placer_note(struct placer_direct *direct, const struct ram_block *block)
{
    _Atomic(struct placer_note *) *at = &direct->notes[block->index];
    struct placer_note *note = atomic_load(at);
    struct placer_note *other = NULL;

    if (!note) {
        note = placer_note_new(block);
        if (!atomic_compare_exchange_strong(at, &other, note ? note : &direct->unknown)) {
            free(note);
            note = other;
        }
    }
    return note == &direct->unknown ? NULL : note;
}

static void placer_set(_Atomic(uint64_t) *words, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;

    while (first < end) {
        _Atomic(uint64_t) *word = &words[first / 64];
        uint64_t mask = bits_mask(&first, end);

        if ((atomic_load_explicit(word, memory_order_relaxed) & mask) != mask)
            atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
    }
}

static bool placer_test(_Atomic(uint64_t) *words, uint64_t page)
{
    return atomic_load_explicit(&words[page / 64], memory_order_relaxed) >> (page % 64) & 1;
}

static uint8_t *direct_prepare(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                               uint64_t *got)
{
    struct placer_direct *direct = (struct placer_direct *)placer;
    struct placer_note *note = placer_note(direct, block);

    if (note) {
        placer_set(note->received, page, count);
        placer_set(note->written, page, count);
    }
    if (direct->prefault)
        prefault_arrived(direct->prefault, block, page, count);
    *got = count;
    return block->host + (page << FERRY_PAGE_SHIFT);
}

static int direct_commit(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                         struct ferry_error *err)
{
    return 0;
}

static int direct_zero(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                       struct ferry_error *err)
{
    struct placer_note *note = placer_note((struct placer_direct *)placer, block);
    bool fresh = note && (block->info.flags & FERRY_BLOCK_FRESH);

    if (note)
        placer_set(note->received, page, count);
    for (uint64_t end = page + count; page < end; page++) {
        uint8_t *at = block->host + (page << FERRY_PAGE_SHIFT);

        if (fresh && !placer_test(note->written, page))
            continue;
        if (!zero_test(at, FERRY_PAGE_BYTES))
            memset(at, 0, FERRY_PAGE_BYTES);
    }
    return 0;
}

static bool direct_untouched(struct placer *placer, const struct ram_block *block, uint64_t page)
{
    struct placer_note *note = placer_note((struct placer_direct *)placer, block);

    return note && !placer_test(note->received, page);
}

static void direct_free(struct placer *placer)
{
    struct placer_direct *direct = (struct placer_direct *)placer;

    prefault_free(direct->prefault);
    for (unsigned i = 0; i < FERRY_BLOCKS_MAX; i++) {
        struct placer_note *note = atomic_load(&direct->notes[i]);

        if (note != &direct->unknown)
            free(note);
    }
    free(direct);
}

static const struct placer_ops direct_ops = {
    .prepare = direct_prepare,
    .commit = direct_commit,
    .zero = direct_zero,
    .untouched = direct_untouched,
    .free = direct_free,
};

struct placer *placer_direct_new(const struct ram_map *map, bool prefault, struct ferry_error *err)
{
    struct placer_direct *direct = calloc(1, sizeof(*direct));
    struct ferry_error why = { 0 };

    if (!direct)
        goto fail;
    direct->base.ops = &direct_ops;
    /* What is known now gets its notes now, so that want of memory shows here; later blocks get theirs when met. */
    for (unsigned i = 0; i < map->count; i++) {
        if (!placer_note(direct, map->blocks[i]))
            goto fail;
    }
    if (prefault) {
        direct->prefault = prefault_new(&why);
        if (!direct->prefault)
            log_info(LOG_MEMORY, "memory is not made ready ahead of the data: %s", ferry_error_text(&why));
    }
    return &direct->base;

fail:
    ferry_error_set(err, -ENOMEM, "no memory to note which pages arrived");
    placer_free(direct ? &direct->base : NULL);
    return NULL;
}

void placer_direct_still(struct placer *placer)
{
    /* It stays in memory: a source that goes on sending has its pages placed meanwhile. */
    prefault_stop(((struct placer_direct *)placer)->prefault);
}

bool placer_untouched(struct placer *placer, const struct ram_block *block, uint64_t page)
{
    return placer->ops->untouched && placer->ops->untouched(placer, block, page);
}

void placer_free(struct placer *placer)
{
    if (placer)
        placer->ops->free(placer);
}
