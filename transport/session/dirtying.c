/* SPDX-License-Identifier: BSD-3-Clause */
/* dirtying.c - how much memory a guest's writes make dirty in a time
 *
 * Any curve of straight pieces that bends downwards only is a sum of ramps that end where it bends:
 *
 *      slope a until t1, then b until t2, then c  =  (a - b) until t1  +  (b - c) until t2  +  c
 */
#include "dirtying.h"

#include <errno.h>
#include <ferry/memory.h>
#include <math.h>
#include <string.h>

#define SIGMAS   3
#define LOOK_SEC 1e-3 /* how well it is known when the trackers were asked */

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

static double slope_between(const struct dirtying_sample *from, const struct dirtying_sample *to)
{
    return to->seconds > from->seconds ? (to->bytes - from->bytes) / (to->seconds - from->seconds) : 0;
}

/* The sample behind @from to which it is steepest. */
static unsigned steepest(const struct dirtying_sample *samples, unsigned count, unsigned from)
{
    double most = -1;
    unsigned best = from + 1;

    for (unsigned i = from + 1; i < count; i++) {
        double slope = slope_between(&samples[from], &samples[i]);

        if (slope >= most) {
            most = slope;
            best = i;
        }
    }
    return best;
}

/* How far a corner stands above the line between its neighbours, in what the count of its pages and the moment of the
 * look may be wrong by.  A bend that is less than that says nothing of the guest, but would make it one with hot pages.
 */
static double bend(const struct dirtying_sample *corner)
{
    double share = (corner->seconds - corner[-1].seconds) / (corner[1].seconds - corner[-1].seconds);
    double line = corner[-1].bytes + (corner[1].bytes - corner[-1].bytes) * share;
    double wrong = SIGMAS * sqrt(corner->bytes * FERRY_PAGE_BYTES) + slope_between(&corner[-1], corner) * LOOK_SEC;

    return wrong > 0 ? (corner->bytes - line) / wrong : 0;
}

/* The corners that stay, beginning with the origin. */
static unsigned find_corners(const struct dirtying_sample *samples, unsigned count, struct dirtying_sample *corners)
{
    unsigned kept = 0;

    corners[kept++] = samples[0];
    for (unsigned at = 0; at + 1 < count;)
        corners[kept++] = samples[at = steepest(samples, count, at)];
    for (;;) {
        unsigned least = 0;

        for (unsigned i = 1; i + 1 < kept; i++)
            if (bend(&corners[i]) < (least ? bend(&corners[least]) : 1))
                least = i;
        if (!least)
            return kept;
        memmove(&corners[least], &corners[least + 1], (--kept - least) * sizeof(corners[0]));
    }
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
    struct dirtying_sample with_origin[DIRTYING_PARTS] = { { 0, 0 } }, corners[DIRTYING_PARTS];
    double first, rate, next, left = all_bytes;
    unsigned kept;

    dirtying->count = 0;
    if (count > DIRTYING_PARTS - 1)
        count = DIRTYING_PARTS - 1;
    if (count == 0)
        return;
    memcpy(with_origin + 1, samples, count * sizeof(*samples));
    kept = find_corners(with_origin, count + 1, corners);
    first = rate = slope_between(&corners[0], &corners[1]);
    for (unsigned at = 1; at + 1 < kept; at++, rate = next) {
        double bytes;

        next = slope_between(&corners[at], &corners[at + 1]);
        bytes = (rate - next) * corners[at].seconds;
        (void)!dirtying_add(dirtying, bytes, rate - next, true);
        left -= bytes > 0 ? bytes : 0;
    }
    (void)!dirtying_add(dirtying, fmin(left, last_bytes(rate, first, corners[kept - 1].seconds)), rate, true);
}
