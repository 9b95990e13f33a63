/* SPDX-License-Identifier: BSD-3-Clause */
/* idle.c - wait until a processor has nothing else to do
 *
 * The thread of SCHED_IDLE does nothing but answer, so that it can hold nothing up; nor is it joined, for it may be
 * long until it gets to run for the last time.
 */
#include "idle.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct idle {
    sem_t asked, ran;
    atomic_bool end;
    atomic_uint users; /* its owner and its thread; the last one frees it */
};

static void drop(struct idle *idle)
{
    if (atomic_fetch_sub(&idle->users, 1) != 1)
        return;
    sem_destroy(&idle->asked);
    sem_destroy(&idle->ran);
    free(idle);
}

static void take(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0 && errno == EINTR)
        continue;
}

static void *idle_thread(void *opaque)
{
    const struct sched_param none = { 0 };
    struct idle *idle = opaque;

    (void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
    for (;;) {
        take(&idle->asked);
        if (atomic_load(&idle->end))
            break;
        sem_post(&idle->ran);
    }
    /* The end of a thread takes locks.  Not everybody may leave SCHED_IDLE; then it is a matter of microseconds. */
    (void)pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
    drop(idle);
    return NULL;
}

struct idle *idle_new(struct ferry_error *err)
{
    struct idle *idle = calloc(1, sizeof(*idle));
    pthread_t thread;
    int ret;

    if (!idle) {
        ferry_error_set(err, -ENOMEM, "no memory to wait for an idle processor");
        return NULL;
    }
    sem_init(&idle->asked, 0, 0);
    sem_init(&idle->ran, 0, 0);
    atomic_init(&idle->users, 2);
    ret = -pthread_create(&thread, NULL, idle_thread, idle);
    if (ret == 0) {
        pthread_detach(thread);
        return idle;
    }
    ferry_error_set(err, ret, "no thread to wait for an idle processor: %s", strerror(-ret));
    drop(idle);
    drop(idle);
    return NULL;
}

void idle_wait(struct idle *idle)
{
    if (atomic_load(&idle->end))
        return;
    sem_post(&idle->asked);
    take(&idle->ran);
}

void idle_end(struct idle *idle)
{
    atomic_store(&idle->end, true);
    sem_post(&idle->asked);
    sem_post(&idle->ran);
}

void idle_free(struct idle *idle)
{
    if (idle)
        drop(idle);
}
