/* SPDX-License-Identifier: BSD-3-Clause */
/* pagemap.h - what the kernel knows about pages: PAGEMAP_SCAN (Linux 6.7), else reading /proc/self/pagemap */
#ifndef MEMORY_PAGEMAP_H
#define MEMORY_PAGEMAP_H

#include <ferry/memory.h>
#include <stdbool.h>

/* What is said of a page; the kernel's numbers. */
enum pagemap_category {
    PAGEMAP_WRITTEN = 1 << 1, /* not write-protected by userfaultfd: written, or never there */
    PAGEMAP_PRESENT = 1 << 3,
    PAGEMAP_SWAPPED = 1 << 4, /* or there is a marker instead of the page */
    PAGEMAP_ZERO = 1 << 5,    /* the shared page of zeros */
};

/* Which pages a scan is about: those with all of @all (may be 0) and at least one of @any (0: whichever). */
struct pagemap_query {
    unsigned all;
    unsigned any;
    unsigned want;      /* categories to tell apart in the answer */
    bool write_protect; /* protect what matches, in one step with finding it; needs asynchronous protection */
};

/* @count pages from @first on match and have @categories of those wanted. */
typedef void pagemap_found(void *opaque, uint64_t first, uint64_t count, unsigned categories);

/* Returns a descriptor for this process, which the caller closes; or a negative errno. */
int pagemap_open(struct ferry_error *err);

/**
 * pagemap_scan() - find the pages of @block that match @query
 *
 * Calls @found with ascending ranges.  Memory that was never touched costs nothing, however much there is.
 * Returns 0; -ENOTTY where the kernel has no PAGEMAP_SCAN.
 */
int pagemap_scan(int fd, const struct ferry_block *block, const struct pagemap_query *query, pagemap_found *found,
                 void *opaque, struct ferry_error *err);

/* For older kernels: the pages of @block that are present or swapped (no other category is told).  Costs 8 bytes read
 * for every page of @block. */
int pagemap_read(int fd, const struct ferry_block *block, pagemap_found *found, void *opaque, struct ferry_error *err);

#endif
