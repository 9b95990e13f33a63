/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_area.h - memory that a device writes: pages that say what they are, how often each was written, which changed
 *
 * What is not trusted is checked before it is overwritten for the first time.  No locks: the device has one.
 */
#ifndef BENCH_VFIO_AREA_H
#define BENCH_VFIO_AREA_H

#include "content.h"
#include "findings.h"
#include "mapping.h"

struct vfio_area {
    const char *name; /* borrowed */
    struct mapping map;
    uint64_t pages;
    struct content content;
    struct findings *findings; /* borrowed */
    uint32_t *generations;     /* what each page holds; owned */
    uint64_t *dirty;           /* one bit per page; owned */
    uint64_t dirty_pages;
    uint64_t next;    /* where the walk over dirty pages stands */
    uint8_t *trusted; /* one byte per page; owned */
};

/* @bytes of memory, reading as zero, nothing dirty and nothing trusted.  @area is zero; clear it on failure, too. */
int vfio_area_make(struct vfio_area *area, const char *name, uint64_t bytes, uint64_t seed, struct findings *findings,
                   struct ferry_error *err);
void vfio_area_clear(struct vfio_area *area);

/* Every page in its first generation, dirty and trusted. */
void vfio_area_fill(struct vfio_area *area);

/* The device writes @page. */
void vfio_area_write(struct vfio_area *area, uint64_t page);

void vfio_area_set_all_dirty(struct vfio_area *area);

/* The next dirty page, round the end, now clean: true and *@page; false: none is dirty. */
bool vfio_area_take(struct vfio_area *area, uint64_t *page);

/* OR what is dirty into @bitmap; it is clean then.  Returns how many pages. */
uint64_t vfio_area_report(struct vfio_area *area, uint64_t *bitmap);

/* Whether @page holds what it should; a note in the findings if not. */
bool vfio_area_check(struct vfio_area *area, uint64_t page);

#endif
