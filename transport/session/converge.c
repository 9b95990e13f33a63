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
static int shrinks(const struct converge_figures *f)
{
    return f->previous_pending_bytes == 0 || rest_bytes(f) < f->previous_pending_bytes / 4 * 3;
}

/* What is left is as much as a round ago, and the guest writes about as fast as the channel carries.  (Where it writes
 * all its memory over and over, only as much is counted as the round lets it: hence "about".) */
static int stands_still(const struct converge_figures *f)
{
    return f->previous_pending_bytes != 0 && rest_bytes(f) >= f->previous_pending_bytes / 10 * 9 &&
           written_per_sec(f) >= f->bytes_per_sec / 10 * 9;
}

/* Either outrun the guest's writes, or carry all that it keeps dirty within the limit: whichever is less. */
static uint64_t needed(const struct converge_figures *f)
{
    uint64_t outrun = written_per_sec(f) + written_per_sec(f) / 8;
    double within = f->downtime_limit_ns
                        ? (double)(rest_bytes(f) + f->device_bytes) * NS_PER_SEC / (double)f->downtime_limit_ns
                        : (double)outrun;

    return within < (double)outrun ? (uint64_t)within : outrun;
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
        if (decision.expected_downtime_ns <= GOOD_ENOUGH_NS || !shrinks(f) || f->fitting_rounds >= MORE_ROUNDS)
            decision.verdict = FERRY_VERDICT_SWITCH;
    } else if (stands_still(f)) {
        decision.verdict = FERRY_VERDICT_CANNOT;
        decision.needed_bytes_per_sec = needed(f);
    }
    return decision;
}
