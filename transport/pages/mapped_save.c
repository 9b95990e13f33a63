/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_save.c - guest memory to its fixed places in a file, by many threads
 *
 * Which pages the file holds is noted in one bitmap per block, written by all threads and put into the file at the end.
 * No two threads have the same page in one round, and a round ends only when every transfer is done, so an older copy
 * never lands on a newer one.
 */
#include "mapped_save.h"

#include "bits.h"
#include "bytes.h"
#include "mapped_crew.h"
#include "mapped_ram.h"
#include "packet.h"
#include "ram_section.h"
#include "writer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SEAL_WORDS 8192 /* of a bitmap, written in one piece */

struct mapped_block {
    struct mapped_place place;
    _Atomic(uint64_t) *present; /* a bit per page; owned */
};

struct mapped_saver {
    struct page_walk *walk;     /* borrowed */
    struct ferry_channel *chan; /* a reference */
    struct mapped_terms terms;
    struct mapped_crew *crew;
    atomic_uint_fast64_t bytes, content_pages, zero_pages;
    struct mapped_block blocks[]; /* as many as the map has; fixed once put */
};

/* ---- the threads ----------------------------------------------------------------------------------------------- */

static void note(_Atomic(uint64_t) *words, uint64_t first, uint64_t count, bool present)
{
    uint64_t end = first + count;

    while (first < end) {
        _Atomic(uint64_t) *word = &words[first / 64];
        uint64_t mask = bits_mask(&first, end);

        if (present)
            atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
        else if (atomic_load_explicit(word, memory_order_relaxed) & mask)
            atomic_fetch_and_explicit(word, ~mask, memory_order_relaxed);
    }
}

static unsigned run_length(const uint64_t *pages, unsigned count)
{
    unsigned run = 1;

    while (run < count && pages[run] == pages[0] + run)
        run++;
    return run;
}

/* All of it. */
static int write_at(struct mapped_saver *saver, const void *data, size_t bytes, uint64_t position,
                    struct ferry_error *err)
{
    struct iovec iov = { (void *)(uintptr_t)data, bytes };

    while (iov.iov_len > 0) {
        ssize_t done = ferry_channel_pwritev(saver->chan, &iov, 1, position, err);

        if (done < 0)
            return (int)done;
        iov.iov_base = (uint8_t *)iov.iov_base + done;
        iov.iov_len -= (size_t)done;
        position += (uint64_t)done;
    }
    return 0;
}

/* A page that the guest writes in between gets a sum that does not fit; it is dirty then, and comes again with one that
 * does. */
static int write_sums(struct mapped_saver *saver, const struct ram_block *block, uint64_t page, uint64_t count,
                      struct ferry_error *err)
{
    const struct mapped_place *place = &saver->blocks[block->index].place;
    const uint8_t *at = block->host + (page << FERRY_PAGE_SHIFT);
    uint8_t sums[BATCH_PAGES_MAX * MAPPED_SUM_BYTES];

    for (uint64_t i = 0; i < count; i++)
        store_be32(sums + i * MAPPED_SUM_BYTES, packet_sum(at + (i << FERRY_PAGE_SHIFT), FERRY_PAGE_BYTES));
    return write_at(saver, sums, count * MAPPED_SUM_BYTES, place->sums_offset + page * MAPPED_SUM_BYTES, err);
}

/* At most a batch. */
static int write_run(struct mapped_saver *saver, struct file_queue *queue, const struct ram_block *block, uint64_t page,
                     uint64_t count, struct ferry_error *err)
{
    struct mapped_block *mapped = &saver->blocks[block->index];
    uint8_t *from = block->host + (page << FERRY_PAGE_SHIFT);
    uint64_t position = mapped->place.pages_offset + (page << FERRY_PAGE_SHIFT);
    size_t left = count << FERRY_PAGE_SHIFT;
    int ret = 0;

    note(mapped->present, page, count, true);
    if (saver->terms.sums)
        ret = write_sums(saver, block, page, count, err);
    while (left > 0 && ret == 0) {
        size_t part = saver->terms.limit ? ratelimit_draw(saver->terms.limit, RATELIMIT_PAGES, left) : left;

        ret = file_queue_put(queue, from, part, position, err);
        from += part;
        position += part;
        left -= part;
    }
    atomic_fetch_add_explicit(&saver->bytes, count << FERRY_PAGE_SHIFT, memory_order_relaxed);
    return ret;
}

static int save_batch(struct mapped_saver *saver, struct file_queue *queue, const struct page_batch *batch,
                      struct ferry_error *err)
{
    const struct ram_block *block = batch->block;
    unsigned run;

    for (unsigned i = 0; i < batch->normal; i += run) {
        int ret;

        run = run_length(batch->pages + i, batch->normal - i);
        ret = write_run(saver, queue, block, batch->pages[i], run, err);
        if (ret < 0)
            return ret;
    }
    for (unsigned i = batch->normal; i < batch->count; i += run) {
        run = run_length(batch->pages + i, batch->count - i);
        note(saver->blocks[block->index].present, batch->pages[i], run, false);
    }
    atomic_fetch_add_explicit(&saver->content_pages, batch->normal, memory_order_relaxed);
    atomic_fetch_add_explicit(&saver->zero_pages, batch->count - batch->normal, memory_order_relaxed);
    return 0;
}

/* A mapped_job. */
static int save_some(void *opaque, struct file_queue *queue, struct ferry_error *err)
{
    struct mapped_saver *saver = opaque;
    const struct ram_block *block;
    struct page_batch batch;
    uint64_t first, count;
    int ret = 0;

    /* Only in the first round are there such pages, and then their bits are clear already. */
    while (walk_take_untouched(saver->walk, &block, &first, &count))
        atomic_fetch_add_explicit(&saver->zero_pages, count, memory_order_relaxed);
    while (ret == 0 && !mapped_crew_stopped(saver->crew)) {
        batch.limit = BATCH_PAGES_MAX;
        if (!walk_take(saver->walk, NULL, &batch))
            break;
        ret = save_batch(saver, queue, &batch, err);
    }
    return ret;
}

/* ---- the session's thread -------------------------------------------------------------------------------------- */

struct mapped_saver *mapped_saver_new(struct page_walk *walk, struct ferry_channel *chan,
                                      const struct mapped_terms *terms, struct ferry_error *err)
{
    const struct ram_map *map = walk->map;
    struct mapped_saver *saver = calloc(1, sizeof(*saver) + map->count * sizeof(saver->blocks[0]));

    if (!saver)
        goto no_memory;
    saver->walk = walk;
    saver->chan = ferry_channel_ref(chan);
    saver->terms = *terms;
    for (unsigned i = 0; i < map->count; i++) {
        saver->blocks[i].present = calloc(bits_words(map->blocks[i]->pages), sizeof(*saver->blocks[i].present));
        if (!saver->blocks[i].present)
            goto no_memory;
    }
    saver->crew = mapped_crew_new(chan, FERRY_WRITE, terms->threads, terms->ring, save_some, saver, err);
    if (saver->crew)
        return saver;
    mapped_saver_free(saver);
    return NULL;

no_memory:
    ferry_error_set(err, -ENOMEM, "%s: no memory to note which pages it holds", ferry_channel_label(chan));
    mapped_saver_free(saver);
    return NULL;
}

int mapped_saver_put_blocks(struct mapped_saver *saver, struct ferry_writer *writer, struct ferry_error *err)
{
    const struct ram_map *map = saver->walk->map;

    ferry_put_be64(writer, map->total_bytes | RAM_MEM_SIZE);
    for (unsigned i = 0; i < map->count; i++) {
        const struct ram_block *block = map->blocks[i];
        struct mapped_place *place = &saver->blocks[i].place;
        uint8_t header[MAPPED_HEADER_MAX_BYTES];
        uint64_t position;
        int ret;

        ferry_put_cstr8(writer, block->info.name);
        ferry_put_be64(writer, block->info.length);
        ret = writer_position(writer, &position, err);
        if (ret < 0)
            return ret;
        *place = mapped_place_at(position, block->pages, saver->terms.sums);
        ferry_put_bytes(writer, header, mapped_header_encode(place, header));
        ret = writer_seek(writer, place->pages_offset + block->info.length, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

void mapped_saver_begin(struct mapped_saver *saver)
{
    mapped_crew_begin(saver->crew);
}

int mapped_saver_wait(struct mapped_saver *saver, int64_t timeout_ns, struct ferry_error *err)
{
    return mapped_crew_wait(saver->crew, timeout_ns, err);
}

static int seal_block(struct mapped_saver *saver, const struct ram_block *block, struct ferry_error *err)
{
    const struct mapped_block *mapped = &saver->blocks[block->index];
    uint64_t words = bits_words(block->pages), buffer[SEAL_WORDS];

    for (uint64_t at = 0; at < words; at += SEAL_WORDS) {
        uint64_t part = words - at < SEAL_WORDS ? words - at : SEAL_WORDS;
        int ret;

        for (uint64_t i = 0; i < part; i++)
            buffer[i] = atomic_load_explicit(&mapped->present[at + i], memory_order_relaxed);
        mapped_bitmap_encode(buffer, part * 64, buffer);
        ret = write_at(saver, buffer, part * sizeof(buffer[0]), mapped->place.bitmap_offset + at * sizeof(buffer[0]),
                       err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

int mapped_saver_seal(struct mapped_saver *saver, struct ferry_error *err)
{
    const struct ram_map *map = saver->walk->map;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < map->count; i++)
        ret = seal_block(saver, map->blocks[i], err);
    return ret;
}

void mapped_saver_figures(struct mapped_saver *saver, struct mapped_figures *figures)
{
    figures->jumped = 0;
    figures->bytes = atomic_load(&saver->bytes);
    figures->content_pages = atomic_load(&saver->content_pages);
    figures->zero_pages = atomic_load(&saver->zero_pages);
    figures->threads = mapped_crew_count(saver->crew);
    figures->manner = mapped_crew_manner(saver->crew);
}

void mapped_saver_free(struct mapped_saver *saver)
{
    if (!saver)
        return;
    mapped_crew_free(saver->crew);
    for (unsigned i = 0; i < saver->walk->map->count; i++)
        free(saver->blocks[i].present);
    ferry_channel_unref(saver->chan);
    free(saver);
}
