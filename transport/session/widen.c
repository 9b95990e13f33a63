/* SPDX-License-Identifier: BSD-3-Clause */
/* widen.c - how many of the page channels to use: one more, as long as that brings something
 *
 *      bytes/s   |              .---x   the fourth brings less than 5 %: three it is
 *                |        .-----'
 *                |    .---'
 *                |----'
 *                +------------------- windows
 *                  1    2    3    4     channels
 *
 * A window can be disturbed from outside, and then says too little, never too much: a channel has more than one to show
 * what it brings, and the best of them counts.
 */
#include "widen.h"

#define WINDOWS 2

void widen_init(struct widen *widen, unsigned most)
{
    *widen = (struct widen){ .most = most, .used = 1, .settled = most == 1 };
}

/* At least 5 % more. */
static bool brings_enough(const struct widen *widen)
{
    return widen->best >= widen->before + widen->before / 20;
}

static void settle(struct widen *widen, unsigned used)
{
    widen->used = used;
    widen->settled = true;
}

unsigned widen_told(struct widen *widen, uint64_t bytes_per_sec)
{
    if (widen->settled)
        return widen->used;
    widen->windows++;
    if (widen->best < bytes_per_sec)
        widen->best = bytes_per_sec;
    if (widen->before > 0 && !brings_enough(widen)) {
        if (widen->windows == WINDOWS)
            settle(widen, widen->used - 1);
        return widen->used;
    }
    widen->before = widen->best;
    widen->best = 0;
    widen->windows = 0;
    if (widen->used == widen->most)
        settle(widen, widen->most);
    else
        widen->used++;
    return widen->used;
}
