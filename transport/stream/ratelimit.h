/* SPDX-License-Identifier: BSD-3-Clause */
/* ratelimit.h - one bucket of bytes that all channels of a session draw from
 *
 * Smooth: a draw is never larger than what 5 ms of the rate bring, so no 20 ms hold more than 1.25 x the limit.
 * Thread: any, all at once.
 */
#ifndef STREAM_RATELIMIT_H
#define STREAM_RATELIMIT_H

#include <stddef.h>
#include <stdint.h>

#define RATELIMIT_UNLIMITED UINT64_MAX

struct ratelimit;

/* NULL when out of memory. */
struct ratelimit *ratelimit_new(uint64_t bytes_per_sec);
void ratelimit_free(struct ratelimit *limit);

/* Takes effect at once, also for those who wait. */
void ratelimit_set(struct ratelimit *limit, uint64_t bytes_per_sec);
uint64_t ratelimit_get(struct ratelimit *limit);

enum ratelimit_class {
    RATELIMIT_PAGES,  /* those who wait draw in turn: nobody starves */
    RATELIMIT_URGENT, /* device state: waits for one draw of the others at most, and they for one of its */
};

/* Wait until some of @want bytes may go; returns how many (1 to @want). */
size_t ratelimit_draw(struct ratelimit *limit, enum ratelimit_class class, size_t want);

/* @bytes went without having been drawn: those who draw make up for them, with half of the rate.  Never blocks. */
void ratelimit_charge(struct ratelimit *limit, size_t bytes);

/* Let everybody through, now and later: the session is being cancelled and its channels are shut down. */
void ratelimit_release(struct ratelimit *limit);

#endif
