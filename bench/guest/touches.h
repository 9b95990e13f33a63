/* SPDX-License-Identifier: BSD-3-Clause */
/* touches.h - how long the guest's own touches of its memory took, by its own clock
 *
 * Only those that took long: a page that is there takes less than a microsecond, and the time would go into noting it.
 */
#ifndef BENCH_TOUCHES_H
#define BENCH_TOUCHES_H

#include "latency.h"

#include <pthread.h>
#include <stdbool.h>

#define TOUCHES_MIN_NS 10000

struct touches {
    pthread_mutex_t lock; /* guards the rest */
    bool over;
    struct latency latency;
};

/* @touches is all zero.  0 or a negative errno. */
int touches_init(struct touches *touches);
void touches_destroy(struct touches *touches);

/* One that took so long.  Thread: any. */
void touches_note(struct touches *touches, int64_t ns);

/* From now on nothing is noted: a check is about to take the processors.  Thread: any. */
void touches_end(struct touches *touches);

/* Those of TOUCHES_MIN_NS and more.  Thread: any. */
void touches_summary(struct touches *touches, struct ferry_latency *summary);

#endif
