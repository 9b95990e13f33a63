/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtying.h - how much memory a guest's writes make dirty in a time
 *
 *      dirty |            .-------  all of it
 *            |       .--'
 *            |    .-'                a page that is written twice is dirty once,
 *            |  ./                   so twice the time is less than twice the pages
 *            | /
 *            +------------------ time
 *
 * A curve is the sum of parts of memory, each written at its own rate.  Pure.
 */
#ifndef SESSION_DIRTYING_H
#define SESSION_DIRTYING_H

#include <stdbool.h>
#include <stdint.h>

#define DIRTYING_PARTS 12

/* So many bytes of memory, written at a rate: one page after the other, and from the front again; or at random. */
struct dirtying_part {
    double bytes, bytes_per_sec;
    bool in_order;
};

struct dirtying {
    struct dirtying_part part[DIRTYING_PARTS];
    unsigned count;
};

/* Add a part; what is empty or never written is not added.  -ENOSPC: there are too many. */
int dirtying_add(struct dirtying *dirtying, double bytes, double bytes_per_sec, bool in_order);

/* The share of a part's pages that are written at least once in so many seconds. */
double dirtying_share(const struct dirtying_part *part, double seconds);

/* Bytes of all parts that are written at least once in so many seconds. */
double dirtying_bytes(const struct dirtying *dirtying, double seconds);

/* What was measured: in `seconds`, so many bytes were dirty. */
struct dirtying_sample {
    double seconds, bytes;
};

/**
 * dirtying_fit() - the curve through samples, shortest first, of a guest of so many bytes
 *
 * Straight from one to the next, and on as before the last: until all is dirty, or less far, the more it has bent. What
 * bends upwards is noise: samples that lie below a line between two others do not count.  Nor do those that lie above
 * it by no more than a count of so many pages is wrong by.
 */
void dirtying_fit(struct dirtying *dirtying, const struct dirtying_sample *samples, unsigned count, double all_bytes);

#endif
