/* SPDX-License-Identifier: BSD-3-Clause */
/* fault_waits.c - which threads wait for which pages, since when, and how long they did */
#include "fault_waits.h"

#include "clock.h"

#include <string.h>

void fault_waits_init(struct fault_waits *waits)
{
    memset(waits, 0, sizeof(*waits));
    pthread_mutex_init(&waits->lock, NULL);
}

void fault_waits_clear(struct fault_waits *waits)
{
    pthread_mutex_destroy(&waits->lock);
}

/* Who waits has changed.  Call with the lock held. */
static void waits_changed(struct fault_waits *waits, int64_t now_ns)
{
    bool all = waits->count > 0 && atomic_load(&waits->blocked) == waits->count;

    if (all && waits->all_since_ns == 0) {
        waits->all_since_ns = now_ns;
    } else if (!all && waits->all_since_ns != 0) {
        waits->all_ns += (uint64_t)(now_ns - waits->all_since_ns);
        waits->all_since_ns = 0;
    }
}

static struct fault_wait *waits_find(struct fault_waits *waits, pid_t tid)
{
    for (unsigned i = 0; i < waits->count; i++) {
        if (waits->wait[i].thread.tid == tid)
            return &waits->wait[i];
    }
    if (waits->count == POSTCOPY_THREADS_MAX)
        return NULL;
    waits->wait[waits->count].thread.tid = tid;
    return &waits->wait[waits->count++];
}

static void wait_over(struct fault_waits *waits, struct fault_wait *wait, int64_t now_ns)
{
    uint64_t took = now_ns > wait->since_ns ? (uint64_t)(now_ns - wait->since_ns) : 0;

    latency_add(&waits->latency, (int64_t)took);
    wait->at.block = NULL;
    wait->thread.faults++;
    wait->thread.blocked_ns += took;
    if (took > wait->thread.max_ns)
        wait->thread.max_ns = took;
    atomic_fetch_sub(&waits->blocked, 1);
}

void fault_waits_add(struct fault_waits *waits, pid_t tid, const struct ram_block *block, uint64_t page, int64_t now_ns)
{
    struct fault_wait *wait;

    pthread_mutex_lock(&waits->lock);
    wait = waits_find(waits, tid);
    /* Woken by a signal and back at the same page: it has been waiting all the while. */
    if (wait && !(wait->at.block == block && wait->at.page == page)) {
        if (wait->at.block)
            wait_over(waits, wait, now_ns);
        wait->at = (struct fault_place){ block, page };
        wait->since_ns = now_ns;
        atomic_fetch_add(&waits->blocked, 1);
        waits_changed(waits, now_ns);
    }
    pthread_mutex_unlock(&waits->lock);
}

void fault_waits_done(struct fault_waits *waits, const struct ram_block *block, uint64_t page, uint64_t count)
{
    int64_t now_ns;

    if (atomic_load(&waits->blocked) == 0)
        return;
    now_ns = clock_now_ns();
    pthread_mutex_lock(&waits->lock);
    for (unsigned i = 0; i < waits->count; i++) {
        struct fault_wait *wait = &waits->wait[i];

        if (wait->at.block == block && wait->at.page - page < count)
            wait_over(waits, wait, now_ns);
    }
    waits_changed(waits, now_ns);
    pthread_mutex_unlock(&waits->lock);
}

unsigned fault_waits_places(struct fault_waits *waits, struct fault_place places[POSTCOPY_THREADS_MAX])
{
    unsigned count = 0;

    pthread_mutex_lock(&waits->lock);
    for (unsigned i = 0; i < waits->count; i++) {
        if (waits->wait[i].at.block)
            places[count++] = waits->wait[i].at;
    }
    pthread_mutex_unlock(&waits->lock);
    return count;
}

void fault_waits_figures(struct fault_waits *waits, struct postcopy_figures *figures)
{
    int64_t now_ns = clock_now_ns();

    pthread_mutex_lock(&waits->lock);
    latency_summary(&waits->latency, &figures->latency);
    figures->all_blocked_ns = waits->all_ns;
    if (waits->all_since_ns != 0)
        figures->all_blocked_ns += (uint64_t)(now_ns - waits->all_since_ns);
    figures->blocked = atomic_load(&waits->blocked);
    figures->threads = waits->count;
    for (unsigned i = 0; i < waits->count; i++) {
        figures->thread[i] = waits->wait[i].thread;
        figures->thread[i].blocked = waits->wait[i].at.block != NULL;
    }
    pthread_mutex_unlock(&waits->lock);
}
