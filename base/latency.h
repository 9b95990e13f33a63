/* SPDX-License-Identifier: BSD-3-Clause */
/* latency.h - collects durations so that percentiles can be told without keeping each
 *
 * A log-linear histogram: each power of two is cut into 32 equal parts, so a percentile is at most 1/32 too large,
 * whether it is 300 ns or 3 s.  Below 64 ns every value has a part of its own; 2^40 ns (18 minutes) and above share
 * one.
 *
 *      ns   0 1 2 ... 63 | 64 66 68 ... 126 | 128 132 ... 252 | 256 264 ...
 */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <ferry/latency.h>

#define LATENCY_PARTS  32 /* of each power of two */
#define LATENCY_POWERS 40
#define LATENCY_CELLS  ((LATENCY_POWERS - 4) * LATENCY_PARTS + 1)

/* All zero is empty.  Some 9 KiB.  One thread at a time. */
struct latency {
    uint64_t count;
    uint64_t total_ns;
    uint64_t max_ns;
    uint64_t buckets[FERRY_LATENCY_BUCKETS];
    uint64_t cells[LATENCY_CELLS];
};

/* Below zero (a clock that was set back) counts as 0. */
void latency_add(struct latency *latency, int64_t ns);

/* Add all of @from. */
void latency_merge(struct latency *latency, const struct latency *from);

/* The duration that the share @permille of all did not exceed, rounded up to the end of its part but never above the
 * largest; 0 of nothing. */
uint64_t latency_permille(const struct latency *latency, unsigned permille);

void latency_summary(const struct latency *latency, struct ferry_latency *summary);

#endif
