/* SPDX-License-Identifier: BSD-3-Clause */
/* latency.h - how long something took, many times over */
#ifndef FERRY_LATENCY_H
#define FERRY_LATENCY_H

#include <ferry/api.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

#define FERRY_LATENCY_BUCKETS 24

/**
 * struct ferry_latency - what many durations have in common
 *
 * All times in nanoseconds.  The percentiles are exact to 1/32 (3 %), upwards; all others are exact.
 * Everything is 0 where nothing was measured.
 *
 * buckets[i] counts the durations from 2^i microseconds up to, not including, 2^(i+1):
 *
 *      i       0         1         2     ...    10              22            23
 *           below 2us   2..4us   4..8us      1024..2048us    4.2..8.4s    8.4s and more
 *
 * The first one has also what took less than 1 us, the last one all that took longer.
 */
struct ferry_latency {
    uint64_t count;
    uint64_t total_ns;
    uint64_t mean_ns;
    uint64_t p50_ns;
    uint64_t p90_ns;
    uint64_t p99_ns;
    uint64_t p999_ns;
    uint64_t max_ns;
    uint64_t buckets[FERRY_LATENCY_BUCKETS];
};

FERRY_END_DECLS

#endif
