/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_crew.c - threads that write or read the fixed places of a file, each with a queue of its own */
#include "mapped_crew.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct mapped_member {
    struct mapped_crew *crew;
    struct file_queue *queue; /* owned; its thread's, once that runs */
    pthread_t thread;
};

struct mapped_crew {
    mapped_job *job;
    void *opaque;
    atomic_bool stopped;
    _Atomic(const char *) manner;

    pthread_mutex_t lock; /* guards all below but members[], a leaf */
    pthread_cond_t changed;
    uint64_t turn;    /* how often they were told to begin */
    unsigned working; /* of this turn */
    bool leave;
    struct ferry_error error; /* the first; errnum 0: none */

    unsigned count; /* threads that run */
    struct mapped_member members[];
};

static void work(struct mapped_member *member)
{
    struct mapped_crew *crew = member->crew;
    struct ferry_error err = { 0 };
    int ret = crew->job(crew->opaque, member->queue, &err);

    if (ret == 0)
        ret = file_queue_drain(member->queue, &err);
    else
        (void)!file_queue_drain(member->queue, NULL);
    atomic_store(&crew->manner, file_queue_manner(member->queue));
    pthread_mutex_lock(&crew->lock);
    if (ret < 0 && !crew->error.errnum) {
        crew->error = err;
        crew->error.errnum = ret;
        atomic_store(&crew->stopped, true);
    }
    if (--crew->working == 0 || ret < 0)
        pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
}

static void *member_thread(void *opaque)
{
    struct mapped_member *member = opaque;
    struct mapped_crew *crew = member->crew;
    uint64_t done = 0;

    for (;;) {
        bool leave;

        pthread_mutex_lock(&crew->lock);
        while (!crew->leave && crew->turn == done)
            pthread_cond_wait(&crew->changed, &crew->lock);
        leave = crew->turn == done;
        done = crew->turn;
        pthread_mutex_unlock(&crew->lock);
        if (leave)
            return NULL;
        work(member);
    }
}

static void init_lock(struct mapped_crew *crew)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&crew->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->changed, &attr);
    pthread_condattr_destroy(&attr);
}

struct mapped_crew *mapped_crew_new(struct ferry_channel *chan, enum ferry_direction way, unsigned count, bool ring,
                                    mapped_job *job, void *opaque, struct ferry_error *err)
{
    struct mapped_crew *crew = calloc(1, sizeof(*crew) + count * sizeof(crew->members[0]));
    int ret;

    if (!crew) {
        ferry_error_set(err, -ENOMEM, "%s: no memory for its threads", ferry_channel_label(chan));
        return NULL;
    }
    crew->job = job;
    crew->opaque = opaque;
    atomic_init(&crew->manner, "nothing");
    init_lock(crew);
    while (crew->count < count) {
        struct mapped_member *member = &crew->members[crew->count];

        member->crew = crew;
        member->queue = file_queue_new(chan, way, ring, err);
        if (!member->queue)
            goto fail;
        ret = -pthread_create(&member->thread, NULL, member_thread, member);
        if (ret < 0) {
            file_queue_free(member->queue);
            ferry_error_set(err, ret, "%s: no thread: %s", ferry_channel_label(chan), strerror(-ret));
            goto fail;
        }
        crew->count++;
    }
    return crew;

fail:
    mapped_crew_free(crew);
    return NULL;
}

void mapped_crew_begin(struct mapped_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->turn++;
    crew->working = crew->count;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
}

int mapped_crew_wait(struct mapped_crew *crew, int64_t timeout_ns, struct ferry_error *err)
{
    struct timespec until = clock_timespec(clock_now_ns() + timeout_ns);
    int ret = 0;

    pthread_mutex_lock(&crew->lock);
    while (crew->working > 0 && ret == 0)
        ret = pthread_cond_timedwait(&crew->changed, &crew->lock, &until);
    ret = crew->working > 0 ? -ETIMEDOUT : crew->error.errnum;
    if (ret < 0 && ret != -ETIMEDOUT && err)
        *err = crew->error;
    pthread_mutex_unlock(&crew->lock);
    return ret;
}

bool mapped_crew_stopped(struct mapped_crew *crew)
{
    return atomic_load_explicit(&crew->stopped, memory_order_relaxed);
}

unsigned mapped_crew_count(const struct mapped_crew *crew)
{
    return crew->count;
}

const char *mapped_crew_manner(struct mapped_crew *crew)
{
    return atomic_load(&crew->manner);
}

void mapped_crew_free(struct mapped_crew *crew)
{
    if (!crew)
        return;
    atomic_store(&crew->stopped, true);
    pthread_mutex_lock(&crew->lock);
    crew->leave = true;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->count; i++) {
        pthread_join(crew->members[i].thread, NULL);
        file_queue_free(crew->members[i].queue);
    }
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
