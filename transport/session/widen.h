/* SPDX-License-Identifier: BSD-3-Clause */
/* widen.h - how many of the page channels to use: one more, as long as that brings something
 *
 * Figures in, a number out: reads no clock, sends nothing.
 */
#ifndef SESSION_WIDEN_H
#define SESSION_WIDEN_H

#include <stdbool.h>
#include <stdint.h>

struct widen {
    unsigned most;    /* channels that there are */
    unsigned used;    /* how many of them to use now */
    bool settled;     /* that is the answer */
    uint64_t before;  /* bytes per second without the last one; 0: not known yet */
    uint64_t best;    /* with it, so far */
    unsigned windows; /* in which it was seen */
};

/* @most is at least 1: one of them is used. */
void widen_init(struct widen *widen, unsigned most);

/* A window is over in which `used` channels carried so much.  Returns how many are to be used from now on. */
unsigned widen_told(struct widen *widen, uint64_t bytes_per_sec);

#endif
