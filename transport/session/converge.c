/* SPDX-License-Identifier: BSD-3-Clause */
/* converge.c - decide after each round: another one, switch over, or it cannot work
 *
 *   what is left     |\
 *                    | \                    Switching as soon as the rest fits the downtime limit would spend the
 * limit. limit - - - | -\- - - - - - -      While the rest still shrinks, another round is cheap and the pause gets |
 * \___               shorter, so the source goes on to the flat part and switches there. |       '----x switch
 *                    +-------------- rounds
 */
#include "converge.h"

#include "clock.h"

#define GOOD_ENOUGH_NS NS_PER_MS /* a rest this short is not worth another round */
#define MORE_ROUNDS    12        /* after it fits, go on for at most this many */

/* bytes at a rate, in ns */
static uint64_t time_ns(uint64_t bytes, uint64_t bytes_per_sec)
{
    if (bytes == 0)
        return 0;
    return bytes_per_sec ? (uint64_t)((double)bytes * NS_PER_SEC / (double)bytes_per_sec) : UINT64_MAX;
}

/* Memory and devices alike: what another round could make less. */
static uint64_t rest_bytes(const struct converge_figures *f)
{
    return f->pending_bytes + f->iterative_bytes;
}

static uint64_t written_per_sec(const struct converge_figures *f)
{
    return f->dirty_bytes_per_sec + f->iterative_bytes_per_sec;
}

/* The rest became at least a quarter smaller in the last round. */
static bool shrinks(const struct converge_figures *f)
{
    return f->previous_pending_bytes == 0 || rest_bytes(f) < f->previous_pending_bytes / 4 * 3;
}

/* What is left is as much as a round ago. */
static bool stands_still(const struct converge_figures *f)
{
    return f->previous_pending_bytes != 0 && rest_bytes(f) >= f->previous_pending_bytes / 10 * 9;
}

/* What the guest would write in a second if rounds were as short as the switch.  A page that is written twice in a
 * round counts once, so the longer the round, the less there seems to be:
 *
 *      dirty/s |o  as short as the switch: this much?
 *              |  '-.
 *              |     '-x last round
 *              |        '---x the one before
 *              +---------------- length of the round
 *
 * A line through two rounds is never above the curve.  Differences of a twentieth are noise. */
static uint64_t dirty_at_limit(const struct converge_figures *f)
{
    double rate = (double)written_per_sec(f);
    double before = (double)f->previous_dirty_bytes_per_sec;
    double rise = rate - before - rate / 20;
    double shorter = (double)f->previous_round_ns - (double)f->round_ns;
    double limit = (double)f->downtime_limit_ns;

    if (before <= 0 || rise <= 0 || shorter < (double)f->previous_round_ns / 10 || (double)f->round_ns <= limit)
        return (uint64_t)rate;
    return (uint64_t)(rate + rise * ((double)f->round_ns - limit) / shorter);
}

/* The guest writes about as fast as the channel carries.  (Where it writes all its memory over and over, only as much
 * is counted as the round lets it: hence "about".) */
static bool outrun(const struct converge_figures *f)
{
    return written_per_sec(f) >= f->bytes_per_sec / 10 * 9;
}

/* Rounds still shrink, but by ever less, and will stand still before they fit. */
static bool will_be_outrun(const struct converge_figures *f)
{
    return f->previous_pending_bytes != 0 && rest_bytes(f) >= f->previous_pending_bytes / 4 * 3 &&
           dirty_at_limit(f) > f->bytes_per_sec;
}

/* Either outrun the guest's writes, or carry all that it keeps dirty within the limit: whichever is less. */
static uint64_t needed(const struct converge_figures *f)
{
    uint64_t writes = dirty_at_limit(f);
    uint64_t outruns = writes + writes / 8;
    double within = f->downtime_limit_ns
                        ? (double)(rest_bytes(f) + f->device_bytes) * NS_PER_SEC / (double)f->downtime_limit_ns
                        : (double)outruns;

    /* What stands still is not outrun by a faster channel alone, unless that carries it in time. */
    if (written_per_sec(f) < f->bytes_per_sec / 10 * 9 && outruns <= f->bytes_per_sec)
        return (uint64_t)within;
    return within < (double)outruns ? (uint64_t)within : outruns;
}

/* As many bytes as ever are left because the guest suddenly writes twice as fast: they may soon be less again. */
static bool bursts(const struct converge_figures *f)
{
    return f->previous_dirty_bytes_per_sec > 0 && f->fitting_rounds > 0 &&
           written_per_sec(f) > 2 * f->previous_dirty_bytes_per_sec && rest_bytes(f) > 2 * f->previous_pending_bytes;
}

/* It fits the limit: is this the lowest point? */
static bool at_minimum(const struct converge_figures *f, uint64_t downtime_ns)
{
    if (downtime_ns <= GOOD_ENOUGH_NS || f->fitting_rounds >= MORE_ROUNDS)
        return true;
    return !shrinks(f) && !bursts(f);
}

struct converge_decision converge_decide(const struct converge_figures *f)
{
    struct converge_decision decision = {
        .verdict = FERRY_VERDICT_CONVERGING,
        .expected_downtime_ns = time_ns(rest_bytes(f) + f->device_bytes, f->bytes_per_sec),
    };

    if (rest_bytes(f) == 0) {
        decision.verdict = FERRY_VERDICT_SWITCH;
    } else if (decision.expected_downtime_ns <= f->downtime_limit_ns) {
        if (at_minimum(f, decision.expected_downtime_ns))
            decision.verdict = FERRY_VERDICT_SWITCH;
    } else if ((stands_still(f) && outrun(f)) || will_be_outrun(f)) {
        decision.verdict = FERRY_VERDICT_CANNOT;
    } else if (stands_still(f)) {
        decision.verdict = FERRY_VERDICT_STALLED;
    }
    if (decision.verdict == FERRY_VERDICT_CANNOT || decision.verdict == FERRY_VERDICT_STALLED) {
        decision.needed_bytes_per_sec = needed(f);
        decision.bearable_bytes_per_sec = f->bytes_per_sec - f->bytes_per_sec / 9;
    }
    return decision;
}

bool converge_hold(const struct converge_figures *f, uint64_t hot_bytes)
{
    return time_ns(hot_bytes + f->device_bytes, f->bytes_per_sec) <= f->downtime_limit_ns ||
           rest_bytes(f) - hot_bytes > hot_bytes;
}
