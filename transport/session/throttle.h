/* SPDX-License-Identifier: BSD-3-Clause */
/* throttle.h - how much a guest may be held back, and for how long
 *
 *      percent |     .--------.
 *              |     |  peak  |          above `bearable` for no more than `peak` of time in all,
 *     bearable |- - -| - - - -'-----     then that much for good
 *              |-----'
 *              +----------------------- time
 *
 * Pure: reads no clock.
 */
#ifndef SESSION_THROTTLE_H
#define SESSION_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle {
    unsigned bearable; /* percent that may last */
    uint64_t peak_ns;  /* more than that for so long; 0: for as long as it takes */
    unsigned wanted;
    unsigned now;      /* what the guest was told */
    int64_t since_ns;  /* when that was looked at last */
    uint64_t above_ns; /* so long it was more than bearable */
    uint64_t held_ns;  /* and so long more than 0 */
};

/* By so much from @now_ns on.  Returns what the guest is to be told, which may be less. */
unsigned throttle_want(struct throttle *throttle, unsigned percent, int64_t now_ns);

/* Time has passed: the same question. */
unsigned throttle_look(struct throttle *throttle, int64_t now_ns);

#endif
