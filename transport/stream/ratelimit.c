/* SPDX-License-Identifier: BSD-3-Clause */
/* ratelimit.c - one bucket of bytes that all channels of a session draw from
 *
 *            rate * dt                 The bucket holds what 5 ms bring (at least 1 KiB), so a writer that was away
 *      ~~~~~~~|~~~~~~~                 comes back to 5 ms of credit, not to a burst.  Over any time T at most
 *      |      v      |  depth = 5 ms   rate * T + depth passes: 1.25 x in 20 ms, 1.005 x in a second.
 *      |ooooooooooooo|
 *      '------.------'                 A draw takes what is there once it is worth a system call (2 ms of the rate or
 *             v draw                   all that is wanted), so that a slow limit does not become many tiny writes.
 *
 *      queue: main, channel 3, channel 0, ...     First come, first served; what is urgent comes next to first.
 *
 * What is charged (requested pages, which wait for nothing) is made up for by the others, who keep half of the rate
 * however much that is: they carry the signs of life, too.
 */
#include "ratelimit.h"

#include "clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#define DEPTH_MS  5
#define WORTH_MS  2
#define MIN_DEPTH 1024
#define DEBT_MS   100 /* so much of what was charged is made up for, from half of what comes; the rest is forgiven */

/* Lies on the stack of the thread that waits. */
struct drawer {
    TAILQ_ENTRY(drawer) place;
    pthread_cond_t turn;
    enum ratelimit_class class;
};

struct ratelimit {
    pthread_mutex_t lock; /* guards all below */
    pthread_condattr_t monotonic;
    TAILQ_HEAD(, drawer) queue; /* only the first draws; whoever leaves wakes the next */
    enum ratelimit_class last;  /* who drew last */
    uint64_t rate;
    double level;   /* bytes in the bucket */
    double debt;    /* bytes that were charged and are not made up for yet */
    int64_t filled; /* when level was right */
    bool released;
};

struct ratelimit *ratelimit_new(uint64_t bytes_per_sec)
{
    struct ratelimit *limit = calloc(1, sizeof(*limit));

    if (!limit)
        return NULL;
    pthread_mutex_init(&limit->lock, NULL);
    pthread_condattr_init(&limit->monotonic);
    pthread_condattr_setclock(&limit->monotonic, CLOCK_MONOTONIC);
    TAILQ_INIT(&limit->queue);
    limit->rate = bytes_per_sec;
    limit->filled = clock_now_ns();
    return limit;
}

void ratelimit_free(struct ratelimit *limit)
{
    if (!limit)
        return;
    pthread_condattr_destroy(&limit->monotonic);
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

/* With the lock held. */
static void wake_all(struct ratelimit *limit)
{
    struct drawer *drawer;

    TAILQ_FOREACH (drawer, &limit->queue, place)
        pthread_cond_signal(&drawer->turn);
}

void ratelimit_set(struct ratelimit *limit, uint64_t bytes_per_sec)
{
    pthread_mutex_lock(&limit->lock);
    limit->rate = bytes_per_sec;
    wake_all(limit);
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
    wake_all(limit);
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
    double brought = (double)limit->rate * (double)(now - limit->filled) / NS_PER_SEC;
    double repaid = limit->debt < brought / 2 ? limit->debt : brought / 2, over;

    limit->debt -= repaid;
    limit->level += brought - repaid;
    if (limit->level > depth) {
        over = limit->level - depth;
        limit->debt -= over < limit->debt ? over : limit->debt;
        limit->level = depth;
    }
    limit->filled = now;
}

/* With the lock held: nobody has to wait. */
static bool is_open(const struct ratelimit *limit)
{
    return limit->released || limit->rate == RATELIMIT_UNLIMITED;
}

/* With the lock held: a part of @want; 0: not before *when. */
static size_t take(struct ratelimit *limit, size_t want, struct timespec *when)
{
    double worth = at_least((double)limit->rate * WORTH_MS / 1000, MIN_DEPTH / 2.0);
    int64_t now = clock_now_ns();
    size_t grant;

    if ((double)want < worth)
        worth = (double)want;
    refill(limit, now);
    *when = clock_timespec(now + 1 + (int64_t)((worth - limit->level) * NS_PER_SEC / (double)limit->rate));
    if (limit->level < worth)
        return 0;
    grant = limit->level < (double)want ? (size_t)limit->level : want;
    limit->level -= (double)grant;
    return grant;
}

/* With the lock held.  Whoever is urgent goes to the front, but not twice in front of the same. */
static void join(struct ratelimit *limit, struct drawer *me)
{
    struct drawer *first = TAILQ_FIRST(&limit->queue);

    if (me->class != RATELIMIT_URGENT || !first)
        TAILQ_INSERT_TAIL(&limit->queue, me, place);
    else if (limit->last == RATELIMIT_URGENT)
        TAILQ_INSERT_AFTER(&limit->queue, first, me, place);
    else
        TAILQ_INSERT_HEAD(&limit->queue, me, place);
}

static void leave(struct ratelimit *limit, struct drawer *me)
{
    TAILQ_REMOVE(&limit->queue, me, place);
    limit->last = me->class;
    if (!TAILQ_EMPTY(&limit->queue))
        pthread_cond_signal(&TAILQ_FIRST(&limit->queue)->turn);
}

/* With the lock held: in the queue until there is something for the caller. */
static size_t draw_in_turn(struct ratelimit *limit, enum ratelimit_class class, size_t want)
{
    struct drawer me = { .class = class };
    size_t grant = 0;
    struct timespec when;

    pthread_cond_init(&me.turn, &limit->monotonic);
    join(limit, &me);
    while (!is_open(limit) && grant == 0) {
        if (TAILQ_FIRST(&limit->queue) != &me)
            pthread_cond_wait(&me.turn, &limit->lock);
        else if ((grant = take(limit, want, &when)) == 0)
            pthread_cond_timedwait(&me.turn, &limit->lock, &when);
    }
    leave(limit, &me);
    pthread_cond_destroy(&me.turn);
    return grant ? grant : want;
}

void ratelimit_charge(struct ratelimit *limit, size_t bytes)
{
    pthread_mutex_lock(&limit->lock);
    if (!is_open(limit)) {
        double most = (double)limit->rate * DEBT_MS / 1000, there;

        refill(limit, clock_now_ns());
        there = limit->level < (double)bytes ? limit->level : (double)bytes;
        limit->level -= there;
        limit->debt += (double)bytes - there;
        if (limit->debt > most)
            limit->debt = most;
    }
    pthread_mutex_unlock(&limit->lock);
}

size_t ratelimit_draw(struct ratelimit *limit, enum ratelimit_class class, size_t want)
{
    size_t grant = want;

    pthread_mutex_lock(&limit->lock);
    if (!is_open(limit))
        grant = draw_in_turn(limit, class, want);
    if (limit->rate == RATELIMIT_UNLIMITED)
        limit->filled = clock_now_ns();
    pthread_mutex_unlock(&limit->lock);
    return grant;
}
