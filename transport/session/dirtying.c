/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtying.c - how much memory a guest's writes make dirty in a time
 *
 * Any curve of straight pieces that bends downwards only is a sum of ramps that end where it bends:
 *
 *      slope a until t1, then b until t2, then c  =  (a - b) until t1  +  (b - c) until t2  +  c
 */
#include "dirtying.h"

#include <errno.h>
#include <math.h>

int dirtying_add(struct dirtying *dirtying, double bytes, double bytes_per_sec, bool in_order)
{
    if (bytes <= 0 || bytes_per_sec <= 0)
        return 0;
    if (dirtying->count == DIRTYING_PARTS)
        return -ENOSPC;
    dirtying->part[dirtying->count++] = (struct dirtying_part){ bytes, bytes_per_sec, in_order };
    return 0;
}

double dirtying_share(const struct dirtying_part *part, double seconds)
{
    double written = part->bytes_per_sec * seconds / part->bytes;

    if (!part->in_order)
        return -expm1(-written);
    return written < 1 ? written : 1;
}

double dirtying_bytes(const struct dirtying *dirtying, double seconds)
{
    double bytes = 0;

    for (unsigned i = 0; i < dirtying->count; i++)
        bytes += dirtying->part[i].bytes * dirtying_share(&dirtying->part[i], seconds);
    return bytes;
}

/* The sample behind @from (which has been at the origin for -1) to which it is steepest; *rate: how steep. */
static unsigned steepest(const struct dirtying_sample *samples, unsigned count, int from, double *rate)
{
    double second = from < 0 ? 0 : samples[from].seconds, bytes = from < 0 ? 0 : samples[from].bytes;
    unsigned best = (unsigned)(from + 1);

    *rate = 0;
    for (unsigned i = best; i < count; i++) {
        double slope = samples[i].seconds > second ? (samples[i].bytes - bytes) / (samples[i].seconds - second) : 0;

        if (slope >= *rate) {
            *rate = slope;
            best = i;
        }
    }
    return best;
}

/* How much there still is at the last slope: all, as long as that is as steep as the first; the more the curve has
 * bent, the sooner it will be flat. */
static double last_bytes(double rate, double first, double seconds)
{
    double bent = first > 0 ? 1 - rate / first : 0;

    return bent < 0.2 ? INFINITY : 2 * rate * seconds / bent;
}

void dirtying_fit(struct dirtying *dirtying, const struct dirtying_sample *samples, unsigned count, double all_bytes)
{
    double first, rate, next, left = all_bytes;
    unsigned at;

    dirtying->count = 0;
    if (count == 0)
        return;
    at = steepest(samples, count, -1, &rate);
    for (first = rate; at + 1 < count && dirtying->count + 1 < DIRTYING_PARTS; rate = next) {
        unsigned behind = steepest(samples, count, (int)at, &next);
        double bytes = (rate - next) * samples[at].seconds;

        (void)!dirtying_add(dirtying, bytes, rate - next, true);
        left -= bytes > 0 ? bytes : 0;
        at = behind;
    }
    (void)!dirtying_add(dirtying, fmin(left, last_bytes(rate, first, samples[at].seconds)), rate, true);
}
