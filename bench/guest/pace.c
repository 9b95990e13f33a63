/* SPDX-License-Identifier: BSD-3-Clause */
/* pace.c - how many pages are due at a given moment; reads no clock */
#include "pace.h"

#include "clock.h"

#include <ferry/memory.h>
#include <stdbool.h>

#define CATCH_UP_NS (10 * NS_PER_MS)
#define TICK_NS     NS_PER_MS
#define MANY_PAGES  256

void pace_start(struct pace *pace, uint64_t bytes_per_sec, int64_t now_ns)
{
    *pace = (struct pace){ .bytes_per_sec = bytes_per_sec, .last_ns = now_ns, .began_ns = now_ns };
}

void pace_in_bursts(struct pace *pace, uint64_t burst_ns, uint64_t pause_ns)
{
    pace->burst_ns = (int64_t)burst_ns;
    pace->pause_ns = (int64_t)pause_ns;
}

/* How long bursts have lasted until @now_ns, all together. */
static int64_t bursting_ns(const struct pace *pace, int64_t now_ns)
{
    int64_t cycle_ns = pace->burst_ns + pace->pause_ns, ns = now_ns - pace->began_ns, in_ns;

    if (pace->burst_ns == 0)
        return ns;
    in_ns = ns % cycle_ns;
    return ns / cycle_ns * pace->burst_ns + (in_ns < pace->burst_ns ? in_ns : pace->burst_ns);
}

/* When bursts will have lasted for @more_ns longer than at @now_ns. */
static int64_t after_bursting(const struct pace *pace, int64_t now_ns, int64_t more_ns)
{
    int64_t whole = bursting_ns(pace, now_ns) + more_ns;

    if (pace->burst_ns == 0)
        return now_ns + more_ns;
    return pace->began_ns + whole / pace->burst_ns * (pace->burst_ns + pace->pause_ns) + whole % pace->burst_ns;
}

static bool is_pause(const struct pace *pace, int64_t now_ns)
{
    return pace->burst_ns > 0 && (now_ns - pace->began_ns) % (pace->burst_ns + pace->pause_ns) >= pace->burst_ns;
}

uint64_t pace_due(struct pace *pace, int64_t now_ns)
{
    double most = (double)pace->bytes_per_sec * CATCH_UP_NS / NS_PER_SEC;
    uint64_t pages;

    if (pace->bytes_per_sec == PACE_UNLIMITED)
        return is_pause(pace, now_ns) ? 0 : MANY_PAGES;
    if (most < FERRY_PAGE_BYTES)
        most = FERRY_PAGE_BYTES;
    pace->credit_bytes += (double)pace->bytes_per_sec *
                          (double)(bursting_ns(pace, now_ns) - bursting_ns(pace, pace->last_ns)) / NS_PER_SEC;
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
    int64_t next_ns;

    if (pace->bytes_per_sec == PACE_UNLIMITED)
        return is_pause(pace, now_ns) ? after_bursting(pace, now_ns, 0) : now_ns;
    if (pace->bytes_per_sec == 0)
        return now_ns + NS_PER_SEC;
    wait_ns = (FERRY_PAGE_BYTES - pace->credit_bytes) * NS_PER_SEC / (double)pace->bytes_per_sec;
    wait_ns = wait_ns > 3600.0 * NS_PER_SEC ? 3600.0 * NS_PER_SEC : wait_ns;
    next_ns = after_bursting(pace, now_ns, wait_ns > 0 ? (int64_t)wait_ns : 0);
    return next_ns < now_ns + TICK_NS ? now_ns + TICK_NS : next_ns;
}
