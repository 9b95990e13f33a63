/* SPDX-License-Identifier: BSD-3-Clause */
/* regions.h - which generation every page has, in eight bytes per megabyte
 *
 * Memory is divided into regions of 256 pages.  A region counts the writes done there, and write number w goes to its
 * data page number w mod D (D of its pages are data, the others are zero for ever).  So the one number says what every
 * page must hold:
 *
 *      D = 5, writes = 7       data page    0  1  2  3  4
 *                              generation   2  2  1  1  1
 *                                                 ^ next
 *
 * A guest that replays a trace writes pages in no such order: it has a count for each page besides.
 *
 * A region's lock is held for the write of one page, and for a check of the whole region.  Memory that came from
 * elsewhere is not trusted until its region was checked: until then a write checks the page before it overwrites it,
 * or a lost write would be painted over.
 */
#ifndef BENCH_REGIONS_H
#define BENCH_REGIONS_H

#include "content.h"
#include "findings.h"

#include <ferry/error.h>
#include <stdatomic.h>

#define REGION_PAGES 256
#define REGION_WORDS (REGION_PAGES / 64)
#define REGIONS_MAX  (SPEC_SIZE_MAX / 4096 / REGION_PAGES)

struct region {
    uint64_t data[REGION_WORDS]; /* which pages are data; fixed */
    uint64_t bad[REGION_WORDS];  /* which have been counted as bad */
    uint16_t data_pages;         /* D; fixed */
    uint16_t next;               /* the page that the next write goes to */
    bool trusted;
    atomic_bool locked; /* guards bad, next, trusted, the writes count and the memory */
};

struct regions {
    struct content content;
    uint8_t *ram; /* borrowed */
    uint64_t pages;
    uint64_t *writes; /* of each region; borrowed: this is device state */
    uint32_t *own;    /* of each page, besides its region's; likewise; NULL: none, the region's number says all */
    struct region *region;
    uint32_t count;
    uint32_t *writable; /* the regions that have data pages, in order */
    uint32_t writable_count;
    struct findings findings;
};

/* How many there are for so much memory. */
uint32_t regions_count(uint64_t ram_bytes);

/**
 * regions_new() - the regions of a guest
 * @ram: spec->size_bytes of memory; borrowed
 * @writes: regions_count() numbers; borrowed
 * @trusted: the memory is this guest's own, not what a stream brought
 */
struct regions *regions_new(const struct guest_spec *spec, void *ram, uint64_t *writes, bool trusted,
                            struct ferry_error *err);
void regions_free(struct regions *regions);

/* Write what every page holds when the counts are what they are.  Several threads; the guest stands still. */
void regions_fill(struct regions *regions);

/* The next write of a region of regions->writable.  Thread: any. */
void regions_write(struct regions *regions, uint32_t index);

/* The next write of a page, which is data; there are counts of its own.  Thread: any. */
void regions_write_page(struct regions *regions, uint64_t page);

/* Check every page of every region; several threads, while the guest runs or stands still. */
void regions_check(struct regions *regions);

#endif
