/* SPDX-License-Identifier: BSD-3-Clause */
/* replay.h - which pages of a trace are due at a given moment; reads no clock
 *
 *      trace      |  0-2 17   |         |  5   |  and from the front again
 *      due        0   1   2  17         5
 *
 * The pages of an interval are spread evenly over it.  The trace's clock stands still while nobody asks: who was held
 * up for more than 10 ms does not catch up with more.
 */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include "trace.h"

#include <stdbool.h>

struct replay {
    const struct trace *trace; /* borrowed */
    int64_t at_ns;             /* in the trace */
    int64_t last_ns;           /* when somebody asked */
    size_t interval;
    uint64_t done; /* pages of it */
    size_t run;    /* of it */
    uint32_t page; /* of the run */
};

/* From the beginning. */
void replay_start(struct replay *replay, const struct trace *trace);

/* From now on its clock goes, or goes again. */
void replay_go(struct replay *replay, int64_t now_ns);

/* It is @now_ns; throttled, the trace's clock is slower by so many percent. */
void replay_advance(struct replay *replay, int64_t now_ns, unsigned throttle_percent);

/* The next page that is due; false: none is.  */
bool replay_next(struct replay *replay, uint64_t *page);

/* When to ask again: when the next page is due, but not within a millisecond, nor later than in 5. */
int64_t replay_next_ns(const struct replay *replay, int64_t now_ns);

#endif
