/* SPDX-License-Identifier: BSD-3-Clause */
/* replay.c - which pages of a trace are due at a given moment; reads no clock */
#include "replay.h"

#include "clock.h"

#define CATCH_UP_NS (10 * NS_PER_MS)
#define TICK_NS     NS_PER_MS

void replay_start(struct replay *replay, const struct trace *trace)
{
    *replay = (struct replay){ .trace = trace };
}

void replay_go(struct replay *replay, int64_t now_ns)
{
    replay->last_ns = now_ns;
}

void replay_advance(struct replay *replay, int64_t now_ns, unsigned throttle_percent)
{
    int64_t passed_ns = now_ns - replay->last_ns;

    replay->last_ns = now_ns;
    if (passed_ns > CATCH_UP_NS)
        passed_ns = CATCH_UP_NS;
    replay->at_ns += passed_ns * (100 - (int64_t)throttle_percent) / 100;
}

static int64_t began_ns(const struct replay *replay)
{
    return replay->interval > 0 ? replay->trace->interval[replay->interval - 1].until_ns : 0;
}

/* When its next page is due; of one that has no more: its end. */
static int64_t due_ns(const struct replay *replay)
{
    const struct trace_interval *interval = &replay->trace->interval[replay->interval];
    double share = interval->pages > 0 ? (double)replay->done / (double)interval->pages : 1;

    return began_ns(replay) + (int64_t)((double)(interval->until_ns - began_ns(replay)) * share);
}

/* Behind the last interval comes the first. */
static void next_interval(struct replay *replay)
{
    const struct trace *trace = replay->trace;

    replay->interval++;
    replay->done = 0;
    replay->run = 0;
    replay->page = 0;
    if (replay->interval < trace->intervals)
        return;
    replay->interval = 0;
    replay->at_ns -= trace->interval[trace->intervals - 1].until_ns;
}

bool replay_next(struct replay *replay, uint64_t *page)
{
    const struct trace *trace = replay->trace;

    while (due_ns(replay) <= replay->at_ns) {
        const struct trace_interval *interval = &trace->interval[replay->interval];
        const struct trace_run *run;

        if (replay->done == interval->pages) {
            next_interval(replay);
            continue;
        }
        run = &trace->run[interval->run + replay->run];
        *page = run->first + replay->page++;
        replay->done++;
        if (replay->page == run->count) {
            replay->run++;
            replay->page = 0;
        }
        return true;
    }
    return false;
}

int64_t replay_next_ns(const struct replay *replay, int64_t now_ns)
{
    int64_t wait_ns = due_ns(replay) - replay->at_ns;

    return now_ns + (wait_ns < TICK_NS ? TICK_NS : wait_ns < CATCH_UP_NS / 2 ? wait_ns : CATCH_UP_NS / 2);
}
