/* SPDX-License-Identifier: BSD-3-Clause */
/* pace.h - how many pages are due at a given moment; reads no clock
 *
 * What could not be written in time is caught up with, but for no more than 10 ms: a guest that was held up must not
 * come back as a burst.
 *
 * In bursts, only their time counts:
 *
 *      ####......####......####......      ####: burst_ns at the rate; ......: pause_ns of nothing
 *      ^ began
 */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include <stdint.h>

#define PACE_UNLIMITED UINT64_MAX

struct pace {
    uint64_t bytes_per_sec;
    int64_t last_ns;
    double credit_bytes;
    int64_t began_ns; /* the first burst */
    int64_t burst_ns; /* 0: no bursts, but all the time */
    int64_t pause_ns;
};

/* From @now_ns on, with nothing due. */
void pace_start(struct pace *pace, uint64_t bytes_per_sec, int64_t now_ns);

/* After pace_start(): in bursts of so long, with so long a pause behind each.  @burst_ns 0: all the time. */
void pace_in_bursts(struct pace *pace, uint64_t burst_ns, uint64_t pause_ns);

/* How many pages are due; they count as written.  Without a limit: some, or none in a pause. */
uint64_t pace_due(struct pace *pace, int64_t now_ns);

/* When to ask again: when the next page is due, but not within a millisecond.  Without a limit: now, or when the next
 * burst begins. */
int64_t pace_next_ns(const struct pace *pace, int64_t now_ns);

#endif
