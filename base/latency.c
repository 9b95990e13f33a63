/* SPDX-License-Identifier: BSD-3-Clause */
/* latency.c - collects durations so that percentiles can be told without keeping each */
#include "latency.h"

#include <string.h>

#define PART_BITS 5 /* log2 of LATENCY_PARTS */

_Static_assert(LATENCY_PARTS == 1 << PART_BITS, "a power of two");

static unsigned log2_floor(uint64_t value)
{
    return 63 - (unsigned)__builtin_clzll(value);
}

static unsigned cell_of(uint64_t ns)
{
    unsigned power;

    if (ns < 2 * LATENCY_PARTS)
        return (unsigned)ns;
    power = log2_floor(ns);
    if (power >= LATENCY_POWERS)
        return LATENCY_CELLS - 1;
    /* The part's number within its power is what follows the leading one. */
    return (power - PART_BITS) * LATENCY_PARTS + (unsigned)(ns >> (power - PART_BITS));
}

/* The largest duration that falls into the cell. */
static uint64_t cell_end(unsigned cell)
{
    unsigned shift;

    if (cell < 2 * LATENCY_PARTS)
        return cell;
    if (cell == LATENCY_CELLS - 1)
        return UINT64_MAX;
    shift = cell / LATENCY_PARTS - 1;
    return ((uint64_t)(cell % LATENCY_PARTS + LATENCY_PARTS + 1) << shift) - 1;
}

static unsigned bucket_of(uint64_t ns)
{
    uint64_t us = ns / 1000;
    unsigned bucket = us ? log2_floor(us) : 0;

    return bucket < FERRY_LATENCY_BUCKETS ? bucket : FERRY_LATENCY_BUCKETS - 1;
}

void latency_add(struct latency *latency, int64_t ns)
{
    uint64_t took = ns > 0 ? (uint64_t)ns : 0;

    latency->count++;
    latency->total_ns += took;
    if (took > latency->max_ns)
        latency->max_ns = took;
    latency->buckets[bucket_of(took)]++;
    latency->cells[cell_of(took)]++;
}

void latency_merge(struct latency *latency, const struct latency *from)
{
    latency->count += from->count;
    latency->total_ns += from->total_ns;
    if (from->max_ns > latency->max_ns)
        latency->max_ns = from->max_ns;
    for (unsigned i = 0; i < FERRY_LATENCY_BUCKETS; i++)
        latency->buckets[i] += from->buckets[i];
    for (unsigned i = 0; i < LATENCY_CELLS; i++)
        latency->cells[i] += from->cells[i];
}

uint64_t latency_permille(const struct latency *latency, unsigned permille)
{
    /* How many must be passed, rounded up; without overflow, for counts stay far below 2^54. */
    uint64_t wanted = (latency->count * permille + 999) / 1000;
    uint64_t passed = 0;

    if (latency->count == 0)
        return 0;
    for (unsigned i = 0; i < LATENCY_CELLS; i++) {
        passed += latency->cells[i];
        if (passed > 0 && passed >= wanted)
            return cell_end(i) < latency->max_ns ? cell_end(i) : latency->max_ns;
    }
    return latency->max_ns;
}

void latency_summary(const struct latency *latency, struct ferry_latency *summary)
{
    memset(summary, 0, sizeof(*summary));
    if (latency->count == 0)
        return;
    summary->count = latency->count;
    summary->total_ns = latency->total_ns;
    summary->mean_ns = latency->total_ns / latency->count;
    summary->p50_ns = latency_permille(latency, 500);
    summary->p90_ns = latency_permille(latency, 900);
    summary->p99_ns = latency_permille(latency, 990);
    summary->p999_ns = latency_permille(latency, 999);
    summary->max_ns = latency->max_ns;
    memcpy(summary->buckets, latency->buckets, sizeof(summary->buckets));
}
