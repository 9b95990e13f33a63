/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_rate_pages.c - how fast a guest writes its memory, by looking at some of its pages twice
 *
 * Pages that changed, of those looked at, times the memory, by the time that lay between.  A page written twice counts
 * once, so that a rate above all of memory in the time is not seen.
 */
#include "clock.h"
#include "qmp_dirty_rate.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define PAGES_OF_GIB   (1 << (30 - FERRY_PAGE_SHIFT))
#define SAMPLES_ATMOST (1u << 20)

struct sample {
    const void *page;
    uint64_t hash;
};

static uint64_t pages_of(const struct ferry_guest *guest)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < ferry_guest_blocks(guest); i++)
        pages += ferry_guest_block(guest, i)->length / FERRY_PAGE_BYTES;
    return pages;
}

static const void *page_at(const struct ferry_guest *guest, uint64_t index)
{
    for (unsigned i = 0; i < ferry_guest_blocks(guest); i++) {
        const struct ferry_block *block = ferry_guest_block(guest, i);

        if (index < block->length / FERRY_PAGE_BYTES)
            return (const char *)block->host + index * FERRY_PAGE_BYTES;
        index -= block->length / FERRY_PAGE_BYTES;
    }
    return NULL;
}

/* Guests write while this reads: then the hash is of neither content, and differs from the next. */
static uint64_t hash(const void *page)
{
    return XXH3_64bits(page, FERRY_PAGE_BYTES);
}

static void choose(const struct ferry_guest *guest, uint64_t pages, struct sample *samples, size_t count)
{
    uint64_t random = (uint64_t)clock_now_ns() | 1;

    for (size_t i = 0; i < count; i++) {
        random ^= random << 13; /* xorshift: any spread will do */
        random ^= random >> 7;
        random ^= random << 17;
        samples[i].page = page_at(guest, random % pages);
        samples[i].hash = hash(samples[i].page);
    }
}

static size_t samples_of(int64_t sample_pages, uint64_t pages)
{
    uint64_t count = (pages * (uint64_t)sample_pages + PAGES_OF_GIB - 1) / PAGES_OF_GIB;

    if (count < QMP_SAMPLE_PAGES_MIN)
        count = QMP_SAMPLE_PAGES_MIN;
    if (count > pages)
        count = pages;
    return count > SAMPLES_ATMOST ? SAMPLES_ATMOST : (size_t)count;
}

int qmp_rate_by_pages(const struct ferry_guest *guest, int64_t sample_pages, const struct qmp_rate_pause *pause,
                      struct qmp_rate_result *result, struct ferry_error *err)
{
    uint64_t pages = pages_of(guest), changed = 0;
    size_t count = samples_of(sample_pages, pages);
    struct sample *samples = calloc(count + !count, sizeof(*samples));
    int64_t from_ns = clock_now_ns(), took_ns;

    if (!samples)
        return ferry_error_set(err, -ENOMEM, "no memory for %zu samples of pages", count);
    choose(guest, pages, samples, count);
    result->whole = pause->wait(pause->opaque);
    for (size_t i = 0; result->whole && i < count; i++)
        changed += hash(samples[i].page) != samples[i].hash;
    took_ns = clock_now_ns() - from_ns;
    if (count > 0 && took_ns > 0)
        result->bytes_per_sec =
            (double)changed / (double)count * (double)(pages * FERRY_PAGE_BYTES) / ((double)took_ns / NS_PER_SEC);
    free(samples);
    return 0;
}
