/* SPDX-License-Identifier: BSD-3-Clause */
/* liveness.c - is the other side still there? */
#include "liveness.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define LOOKS_PER_SUSPICION 4          /* beats and looks that fit into the time until it is suspect */
#define SELDOM_NS           NS_PER_SEC /* a time until it is suspect that is no longer than the other side's */

struct liveness {
    const struct liveness_ops *ops;
    void *opaque;
    uint64_t suspect_ns, lost_ns;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t changed;
    bool stop;
};

/* Sleep until it is time to look again.  False when it is to end. */
static bool wait_turn(struct liveness *liveness, int64_t when_ns)
{
    struct timespec when = clock_timespec(when_ns);
    bool goes_on;

    pthread_mutex_lock(&liveness->lock);
    while (!liveness->stop && pthread_cond_timedwait(&liveness->changed, &liveness->lock, &when) != ETIMEDOUT)
        continue;
    goes_on = !liveness->stop;
    pthread_mutex_unlock(&liveness->lock);
    return goes_on;
}

static int64_t turn_ns(const struct liveness *liveness)
{
    uint64_t least = liveness->suspect_ns < liveness->lost_ns ? liveness->suspect_ns : liveness->lost_ns;

    return (int64_t)(least < SELDOM_NS ? least : SELDOM_NS) / LOOKS_PER_SUSPICION;
}

static void *liveness_thread(void *opaque)
{
    struct liveness *liveness = opaque;
    int64_t every = turn_ns(liveness), began = clock_now_ns();
    struct ferry_error err;
    bool suspect = false;

    for (uint64_t count = 1; wait_turn(liveness, clock_now_ns() + every); count++) {
        int64_t heard = liveness->ops->heard_ns(liveness->opaque), silent;

        silent = clock_now_ns() - (heard > began ? heard : began);
        if (silent >= (int64_t)liveness->lost_ns) {
            ferry_error_set_code(&err, FERRY_E_PEER_SILENT, -ETIMEDOUT,
                                 "the other side is lost: nothing was heard of it for %.1f s",
                                 (double)silent / NS_PER_SEC);
            ferry_error_hint(&err, "is its host up, and the network in between?");
            liveness->ops->lost(liveness->opaque, &err);
            break;
        }
        if (silent >= (int64_t)liveness->suspect_ns || suspect) {
            suspect = silent >= (int64_t)liveness->suspect_ns;
            liveness->ops->suspect(liveness->opaque, suspect ? silent : 0);
        }
        liveness->ops->beat(liveness->opaque, count);
    }
    return NULL;
}

struct liveness *liveness_new(const struct liveness_ops *ops, void *opaque, uint64_t suspect_ns, uint64_t lost_ns,
                              struct ferry_error *err)
{
    struct liveness *liveness = calloc(1, sizeof(*liveness));
    pthread_condattr_t attr;

    if (!liveness) {
        ferry_error_set(err, -ENOMEM, "no memory to watch the other side");
        return NULL;
    }
    liveness->ops = ops;
    liveness->opaque = opaque;
    liveness->suspect_ns = suspect_ns;
    liveness->lost_ns = lost_ns;
    pthread_mutex_init(&liveness->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&liveness->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&liveness->thread, NULL, liveness_thread, liveness) == 0)
        return liveness;
    ferry_error_set(err, -EAGAIN, "no thread to watch the other side");
    pthread_cond_destroy(&liveness->changed);
    pthread_mutex_destroy(&liveness->lock);
    free(liveness);
    return NULL;
}

void liveness_free(struct liveness *liveness)
{
    if (!liveness)
        return;
    pthread_mutex_lock(&liveness->lock);
    liveness->stop = true;
    pthread_cond_signal(&liveness->changed);
    pthread_mutex_unlock(&liveness->lock);
    pthread_join(liveness->thread, NULL);
    pthread_cond_destroy(&liveness->changed);
    pthread_mutex_destroy(&liveness->lock);
    free(liveness);
}
