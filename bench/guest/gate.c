/* SPDX-License-Identifier: BSD-3-Clause */
/* gate.c - lets threads run and makes them stand still */
#include "gate.h"

#include "clock.h"

#include <errno.h>

int gate_init(struct gate *gate)
{
    pthread_condattr_t attr;
    int ret;

    gate->quit = false;
    gate->inside = 0;
    atomic_init(&gate->open, false);
    ret = pthread_mutex_init(&gate->lock, NULL);
    if (ret)
        return -ret;
    ret = pthread_condattr_init(&attr);
    if (ret == 0) {
        ret = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        if (ret == 0)
            ret = pthread_cond_init(&gate->changed, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (ret)
        pthread_mutex_destroy(&gate->lock);
    return -ret;
}

void gate_destroy(struct gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    if (!gate->quit)
        atomic_store(&gate->open, true);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void close_locked(struct gate *gate)
{
    atomic_store(&gate->open, false);
    pthread_cond_broadcast(&gate->changed);
    while (gate->inside > 0)
        pthread_cond_wait(&gate->changed, &gate->lock);
}

void gate_close(struct gate *gate)
{
    /* Those that work see it before this thread gets the lock. */
    atomic_store(&gate->open, false);
    pthread_mutex_lock(&gate->lock);
    close_locked(gate);
    pthread_mutex_unlock(&gate->lock);
}

void gate_quit(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->quit = true;
    close_locked(gate);
    pthread_mutex_unlock(&gate->lock);
}

bool gate_enter(struct gate *gate)
{
    bool enter;

    pthread_mutex_lock(&gate->lock);
    while (!atomic_load(&gate->open) && !gate->quit)
        pthread_cond_wait(&gate->changed, &gate->lock);
    enter = !gate->quit;
    if (enter)
        gate->inside++;
    pthread_mutex_unlock(&gate->lock);
    return enter;
}

void gate_leave(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    if (--gate->inside == 0)
        pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

bool gate_is_open(struct gate *gate)
{
    return atomic_load_explicit(&gate->open, memory_order_relaxed);
}

void gate_sleep_until(struct gate *gate, int64_t when_ns)
{
    struct timespec when = clock_timespec(when_ns);

    pthread_mutex_lock(&gate->lock);
    while (atomic_load(&gate->open) && pthread_cond_timedwait(&gate->changed, &gate->lock, &when) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&gate->lock);
}
