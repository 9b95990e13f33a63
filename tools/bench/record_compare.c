/* SPDX-License-Identifier: BSD-3-Clause */
/* record_compare.c - what another process has written, by what its pages hold
 *
 * Only pages that are there are read: to read others would make page tables for them.
 */
#include "record_target.h"

#include "pagemap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <xxhash.h>

#define PIECE_PAGES 256

struct comparing {
    const struct record_target *target;
    struct record_area *area;
    struct dirty_trace *trace; /* NULL: only learn */
    uint8_t *room;             /* PIECE_PAGES of them */
};

static void compare_page(const struct comparing *comparing, uint64_t page, const uint8_t *bytes)
{
    uint64_t sum = XXH3_64bits(bytes, FERRY_PAGE_BYTES) | 1, *before = &comparing->area->sums[page];

    if (sum != *before && comparing->trace)
        dirty_trace_run(comparing->trace, comparing->area->base + page, 1);
    *before = sum;
}

static void found(void *opaque, uint64_t first, uint64_t count, unsigned categories)
{
    const struct comparing *comparing = opaque;

    if (categories & PAGEMAP_ZERO)
        return;
    for (uint64_t done = 0; done < count; done += PIECE_PAGES) {
        uint64_t pages = count - done < PIECE_PAGES ? count - done : PIECE_PAGES;
        struct iovec here = { comparing->room, pages * FERRY_PAGE_BYTES };
        struct iovec there = { (void *)(uintptr_t)(comparing->area->start + (first + done) * FERRY_PAGE_BYTES),
                               pages * FERRY_PAGE_BYTES };
        ssize_t got = process_vm_readv(comparing->target->pid, &here, 1, &there, 1, 0);

        for (uint64_t i = 0; got > 0 && i < (uint64_t)got / FERRY_PAGE_BYTES; i++)
            compare_page(comparing, first + done + i, comparing->room + i * FERRY_PAGE_BYTES);
    }
}

static void look(struct record_target *target, struct record_area *area, struct dirty_trace *trace)
{
    const struct pagemap_query query = { .any = PAGEMAP_PRESENT | PAGEMAP_SWAPPED, .want = PAGEMAP_ZERO };
    struct ferry_block block = { .name = area->name,
                                 .host = (void *)(uintptr_t)area->start,
                                 .length = area->pages * FERRY_PAGE_BYTES };
    struct comparing comparing = { target, area, trace, malloc((size_t)PIECE_PAGES * FERRY_PAGE_BYTES) };
    struct ferry_error err;
    int ret = comparing.room ? pagemap_scan(target->pagemap, &block, &query, found, &comparing, &err) : -ENOMEM;

    if (ret == -ENOTTY)
        ret = pagemap_read(target->pagemap, &block, found, &comparing, &err);
    area->gone = ret < 0;
    free(comparing.room);
}

static int start(struct record_target *target, struct ferry_error *err)
{
    struct iovec here = { &(char){ 0 }, 1 }, there = { (void *)(uintptr_t)target->area[0].start, 1 };

    if (process_vm_readv(target->pid, &here, 1, &there, 1, 0) < 0 && errno != EFAULT)
        return ferry_error_set(err, -errno, "the memory of process %d cannot be read: %s", (int)target->pid,
                               strerror(errno));
    for (unsigned i = 0; i < target->count; i++) {
        struct record_area *area = &target->area[i];

        area->sums = calloc(area->pages, sizeof(*area->sums));
        if (!area->sums)
            return ferry_error_set(err, -ENOMEM, "no memory for the sums of %s", area->name);
        look(target, area, NULL);
    }
    return 0;
}

const struct record_way record_compare = {
    .name = "compare",
    .words = "its memory is read and compared: a page that holds the same as before counts as not written",
    .start = start,
    .look = look,
};
