/* SPDX-License-Identifier: BSD-3-Clause */
/* ratelimit.c - one bucket of bytes that all channels of a session draw from
 *
 *            rate * dt                 The bucket holds what 5 ms bring (at least 1 KiB), so a writer that was away
 *      ~~~~~~~|~~~~~~~                 comes back to 5 ms of credit, not to a burst.  Over any time T at most
 *      |      v      |  depth = 5 ms   rate * T + depth passes: 1.25 x in 20 ms, 1.005 x in a second.
 *      |ooooooooooooo|
 *      '------.------'                 A draw takes what is there once it is worth a system call (2 ms of the rate or
 *             v draw                   all that is wanted), so that a slow limit does not become many tiny writes.
 */
#include "ratelimit.h"

#include "clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define DEPTH_MS  5
#define WORTH_MS  2
#define MIN_DEPTH 1024

struct ratelimit {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    uint64_t rate;
    double level;   /* bytes in the bucket */
    int64_t filled; /* when level was right */
    bool released;
};

struct ratelimit *ratelimit_new(uint64_t bytes_per_sec)
{
    struct ratelimit *limit = calloc(1, sizeof(*limit));
    pthread_condattr_t attr;

    if (!limit)
        return NULL;
    pthread_mutex_init(&limit->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&limit->changed, &attr);
    pthread_condattr_destroy(&attr);
    limit->rate = bytes_per_sec;
    limit->filled = clock_now_ns();
    return limit;
}

void ratelimit_free(struct ratelimit *limit)
{
    if (!limit)
        return;
    pthread_cond_destroy(&limit->changed);
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

void ratelimit_set(struct ratelimit *limit, uint64_t bytes_per_sec)
{
    pthread_mutex_lock(&limit->lock);
    limit->rate = bytes_per_sec;
    pthread_cond_broadcast(&limit->changed);
    pthread_mutex_unlock(&limit->lock);
}

uint64_t ratelimit_get(struct ratelimit *limit)
{
    uint64_t rate;

    pthread_mutex_lock(&limit->lock);
    rate = limit->rate;
    pthread_mutex_unlock(&limit->lock);
    return rate;
}

void ratelimit_release(struct ratelimit *limit)
{
    pthread_mutex_lock(&limit->lock);
    limit->released = true;
    pthread_cond_broadcast(&limit->changed);
    pthread_mutex_unlock(&limit->lock);
}

static double at_least(double value, double floor)
{
    return value < floor ? floor : value;
}

/* Called with the lock held. */
static void refill(struct ratelimit *limit, int64_t now)
{
    double depth = at_least((double)limit->rate * DEPTH_MS / 1000, MIN_DEPTH);

    limit->level += (double)limit->rate * (double)(now - limit->filled) / NS_PER_SEC;
    if (limit->level > depth)
        limit->level = depth;
    limit->filled = now;
}

size_t ratelimit_draw(struct ratelimit *limit, size_t want)
{
    size_t grant = want;

    pthread_mutex_lock(&limit->lock);
    while (!limit->released && limit->rate != RATELIMIT_UNLIMITED) {
        double worth = at_least((double)limit->rate * WORTH_MS / 1000, MIN_DEPTH / 2.0);
        int64_t now = clock_now_ns();
        struct timespec when;

        if ((double)want < worth)
            worth = (double)want;
        refill(limit, now);
        if (limit->level >= worth) {
            grant = limit->level < (double)want ? (size_t)limit->level : want;
            limit->level -= (double)grant;
            break;
        }
        when = clock_timespec(now + 1 + (int64_t)((worth - limit->level) * NS_PER_SEC / (double)limit->rate));
        pthread_cond_timedwait(&limit->changed, &limit->lock, &when);
    }
    if (limit->rate == RATELIMIT_UNLIMITED)
        limit->filled = clock_now_ns();
    pthread_mutex_unlock(&limit->lock);
    return grant;
}
