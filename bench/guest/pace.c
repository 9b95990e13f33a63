/* SPDX-License-Identifier: BSD-3-Clause */
/* pace.c - how many pages are due at a given moment; reads no clock */
#include "pace.h"

#include "clock.h"

#include <ferry/memory.h>

#define CATCH_UP_NS (10 * NS_PER_MS)
#define TICK_NS     NS_PER_MS
#define MANY_PAGES  256

void pace_start(struct pace *pace, uint64_t bytes_per_sec, int64_t now_ns)
{
    *pace = (struct pace){ .bytes_per_sec = bytes_per_sec, .last_ns = now_ns };
}

uint64_t pace_due(struct pace *pace, int64_t now_ns)
{
    double most = (double)pace->bytes_per_sec * CATCH_UP_NS / NS_PER_SEC;
    uint64_t pages;

    if (pace->bytes_per_sec == PACE_UNLIMITED)
        return MANY_PAGES;
    if (most < FERRY_PAGE_BYTES)
        most = FERRY_PAGE_BYTES;
    pace->credit_bytes += (double)pace->bytes_per_sec * (double)(now_ns - pace->last_ns) / NS_PER_SEC;
    pace->last_ns = now_ns;
    if (pace->credit_bytes > most)
        pace->credit_bytes = most;
    pages = (uint64_t)(pace->credit_bytes / FERRY_PAGE_BYTES);
    pace->credit_bytes -= (double)pages * FERRY_PAGE_BYTES;
    return pages;
}

int64_t pace_next_ns(const struct pace *pace, int64_t now_ns)
{
    double wait_ns;

    if (pace->bytes_per_sec == PACE_UNLIMITED)
        return now_ns;
    if (pace->bytes_per_sec == 0)
        return now_ns + NS_PER_SEC;
    wait_ns = (FERRY_PAGE_BYTES - pace->credit_bytes) * NS_PER_SEC / (double)pace->bytes_per_sec;
    if (wait_ns < TICK_NS)
        return now_ns + TICK_NS;
    return wait_ns > 3600.0 * NS_PER_SEC ? now_ns + 3600 * NS_PER_SEC : now_ns + (int64_t)wait_ns;
}
