/* SPDX-License-Identifier: BSD-3-Clause */
/* watchdog.c - something happens at a deadline unless it is called off
 *
 * The watches are few (a connection being set up, a heartbeat that is due), so they are a plain list and the thread
 * looks through all of it.  It is woken only for a deadline earlier than the one it sleeps for: moving a deadline back,
 * which is what every heartbeat does, costs a lock and no switch.
 */
#include "watchdog.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct watchdog {
    pthread_mutex_t lock; /* guards all below, and every watch that is set */
    pthread_cond_t changed;
    struct watchdog_watch *watches;
    int64_t sleeps_until_ns; /* INT64_MAX: until it is woken */
    bool ending;
    pthread_t thread;
};

static void unlink_watch(struct watchdog *dog, struct watchdog_watch *watch)
{
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        dog->watches = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    watch->next = watch->previous = NULL;
    watch->set = false;
}

static struct watchdog_watch *earliest(const struct watchdog *dog)
{
    struct watchdog_watch *first = dog->watches;

    for (struct watchdog_watch *watch = first; watch; watch = watch->next)
        if (watch->when_ns < first->when_ns)
            first = watch;
    return first;
}

/* Bark where it is due, in the order in which it became due.  Returns when the next one is. */
static int64_t go_round(struct watchdog *dog)
{
    int64_t now_ns = clock_now_ns();
    struct watchdog_watch *watch;

    while ((watch = earliest(dog)) && watch->when_ns <= now_ns) {
        unlink_watch(dog, watch);
        watch->barked = true;
        watch->bark(watch->opaque);
    }
    return watch ? watch->when_ns : INT64_MAX;
}

static void *watchdog_thread(void *opaque)
{
    struct watchdog *dog = opaque;

    pthread_mutex_lock(&dog->lock);
    while (!dog->ending) {
        dog->sleeps_until_ns = go_round(dog);
        if (dog->sleeps_until_ns == INT64_MAX) {
            pthread_cond_wait(&dog->changed, &dog->lock);
        } else {
            struct timespec when = clock_timespec(dog->sleeps_until_ns);

            pthread_cond_timedwait(&dog->changed, &dog->lock, &when);
        }
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

static void destroy(struct watchdog *dog)
{
    pthread_cond_destroy(&dog->changed);
    pthread_mutex_destroy(&dog->lock);
    free(dog);
}

struct watchdog *watchdog_new(struct ferry_error *err)
{
    struct watchdog *dog = calloc(1, sizeof(*dog));
    pthread_condattr_t attr;
    int ret;

    if (!dog) {
        ferry_error_set(err, -ENOMEM, "no memory for a watchdog");
        return NULL;
    }
    pthread_mutex_init(&dog->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&dog->changed, &attr);
    pthread_condattr_destroy(&attr);
    dog->sleeps_until_ns = INT64_MAX;
    ret = -pthread_create(&dog->thread, NULL, watchdog_thread, dog);
    if (ret == 0)
        return dog;
    ferry_error_set(err, ret, "no thread for a watchdog");
    destroy(dog);
    return NULL;
}

void watchdog_free(struct watchdog *dog)
{
    if (!dog)
        return;
    pthread_mutex_lock(&dog->lock);
    dog->ending = true;
    pthread_cond_signal(&dog->changed);
    pthread_mutex_unlock(&dog->lock);
    pthread_join(dog->thread, NULL);
    while (dog->watches)
        unlink_watch(dog, dog->watches);
    destroy(dog);
}

void watchdog_set(struct watchdog *dog, struct watchdog_watch *watch, int64_t when_ns, void (*bark)(void *opaque),
                  void *opaque)
{
    pthread_mutex_lock(&dog->lock);
    watch->when_ns = when_ns;
    watch->bark = bark;
    watch->opaque = opaque;
    watch->barked = false;
    if (!watch->set) {
        watch->set = true;
        watch->previous = NULL;
        watch->next = dog->watches;
        if (watch->next)
            watch->next->previous = watch;
        dog->watches = watch;
    }
    if (when_ns < dog->sleeps_until_ns)
        pthread_cond_signal(&dog->changed);
    pthread_mutex_unlock(&dog->lock);
}

bool watchdog_clear(struct watchdog *dog, struct watchdog_watch *watch)
{
    bool barked;

    pthread_mutex_lock(&dog->lock);
    if (watch->set)
        unlink_watch(dog, watch);
    barked = watch->barked;
    watch->barked = false;
    pthread_mutex_unlock(&dog->lock);
    return barked;
}
