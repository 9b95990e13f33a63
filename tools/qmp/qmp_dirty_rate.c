/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_dirty_rate.c - how fast a guest writes its memory, by looking at some of its pages twice */
#include "qmp_dirty_rate.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

#define TIME_MIN_MS    50
#define TIME_MAX_MS    60000
#define PAGES_OF_GIB   (1 << (30 - FERRY_PAGE_SHIFT))
#define SAMPLES_ATMOST (1u << 20)

struct sample {
    const void *page;
    uint64_t hash;
};

enum state {
    UNSTARTED,
    MEASURING,
    MEASURED,
};

struct qmp_dirty_rate {
    const struct ferry_guest *guest; /* borrowed */
    pthread_t thread;
    bool has_thread; /* to be joined */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    enum state state;
    bool stop;
    int64_t calc_ns, started_s, sample_pages;
    uint64_t mib_per_sec;
};

struct qmp_dirty_rate *qmp_dirty_rate_new(const struct ferry_guest *guest)
{
    struct qmp_dirty_rate *rate = calloc(1, sizeof(*rate));
    pthread_condattr_t attr;

    if (!rate)
        return NULL;
    rate->guest = guest;
    pthread_mutex_init(&rate->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&rate->changed, &attr);
    pthread_condattr_destroy(&attr);
    return rate;
}

static void join(struct qmp_dirty_rate *rate)
{
    if (rate->has_thread)
        pthread_join(rate->thread, NULL);
    rate->has_thread = false;
}

void qmp_dirty_rate_free(struct qmp_dirty_rate *rate)
{
    if (!rate)
        return;
    pthread_mutex_lock(&rate->lock);
    rate->stop = true;
    pthread_cond_broadcast(&rate->changed);
    pthread_mutex_unlock(&rate->lock);
    join(rate);
    pthread_cond_destroy(&rate->changed);
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

static uint64_t pages_of(const struct ferry_guest *guest)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < ferry_guest_blocks(guest); i++)
        pages += ferry_guest_block(guest, i)->length / FERRY_PAGE_BYTES;
    return pages;
}

static const void *page_at(const struct ferry_guest *guest, uint64_t index)
{
    for (unsigned i = 0; i < ferry_guest_blocks(guest); i++) {
        const struct ferry_block *block = ferry_guest_block(guest, i);

        if (index < block->length / FERRY_PAGE_BYTES)
            return (const char *)block->host + index * FERRY_PAGE_BYTES;
        index -= block->length / FERRY_PAGE_BYTES;
    }
    return NULL;
}

/* Guests write while this reads: then the hash is of neither content, and differs from the next. */
static uint64_t hash(const void *page)
{
    return XXH3_64bits(page, FERRY_PAGE_BYTES);
}

static void choose(const struct ferry_guest *guest, uint64_t pages, struct sample *samples, size_t count)
{
    uint64_t random = (uint64_t)clock_now_ns() | 1;

    for (size_t i = 0; i < count; i++) {
        random ^= random << 13; /* xorshift: any spread will do */
        random ^= random >> 7;
        random ^= random << 17;
        samples[i].page = page_at(guest, random % pages);
        samples[i].hash = hash(samples[i].page);
    }
}

/* False when it is to end. */
static bool sleep_until(struct qmp_dirty_rate *rate, int64_t when_ns)
{
    struct timespec when = clock_timespec(when_ns);
    bool stop;

    pthread_mutex_lock(&rate->lock);
    while (!rate->stop && pthread_cond_timedwait(&rate->changed, &rate->lock, &when) != ETIMEDOUT)
        ;
    stop = rate->stop;
    pthread_mutex_unlock(&rate->lock);
    return !stop;
}

static size_t samples_of(int64_t sample_pages, uint64_t pages)
{
    uint64_t count = (pages * (uint64_t)sample_pages + PAGES_OF_GIB - 1) / PAGES_OF_GIB;

    if (count < QMP_SAMPLE_PAGES_MIN)
        count = QMP_SAMPLE_PAGES_MIN;
    if (count > pages)
        count = pages;
    return count > SAMPLES_ATMOST ? SAMPLES_ATMOST : (size_t)count;
}

static void *measure(void *opaque)
{
    struct qmp_dirty_rate *rate = opaque;
    uint64_t pages = pages_of(rate->guest), changed = 0;
    size_t count = samples_of(rate->sample_pages, pages);
    struct sample *samples = calloc(count + !count, sizeof(*samples));
    int64_t from_ns = clock_now_ns(), took_ns;
    bool whole = false;

    if (samples) {
        choose(rate->guest, pages, samples, count);
        whole = sleep_until(rate, from_ns + rate->calc_ns);
        for (size_t i = 0; whole && i < count; i++)
            changed += hash(samples[i].page) != samples[i].hash;
    }
    took_ns = clock_now_ns() - from_ns;
    pthread_mutex_lock(&rate->lock);
    rate->state = whole ? MEASURED : UNSTARTED;
    if (whole && count > 0 && took_ns > 0)
        rate->mib_per_sec = (uint64_t)((double)changed / (double)count * (double)(pages * FERRY_PAGE_BYTES) /
                                       (1 << 20) / ((double)took_ns / NS_PER_SEC));
    pthread_mutex_unlock(&rate->lock);
    free(samples);
    return NULL;
}

int qmp_dirty_rate_start(struct qmp_dirty_rate *rate, int64_t time_given, bool in_ms, int64_t sample_pages,
                         struct ferry_error *err)
{
    int64_t factor = in_ms ? 1 : 1000;
    int ret = 0;

    if (time_given < 0 || time_given > TIME_MAX_MS / factor || time_given * factor < TIME_MIN_MS)
        return ferry_error_set(err, -ERANGE, "Calculation time is out of range [%dms, %dms].", TIME_MIN_MS,
                               TIME_MAX_MS);
    if (sample_pages < QMP_SAMPLE_PAGES_MIN || sample_pages > QMP_SAMPLE_PAGES_MAX)
        return ferry_error_set(err, -ERANGE, "sample-pages is out of range[%d, %d].", QMP_SAMPLE_PAGES_MIN,
                               QMP_SAMPLE_PAGES_MAX);
    pthread_mutex_lock(&rate->lock);
    if (rate->state == MEASURING)
        ret = ferry_error_set(err, -EBUSY, "the dirty rate is already being measured.");
    pthread_mutex_unlock(&rate->lock);
    if (ret < 0)
        return ret;
    join(rate);
    rate->state = MEASURING;
    rate->calc_ns = time_given * factor * NS_PER_MS;
    rate->sample_pages = sample_pages;
    rate->started_s = clock_now_ns() / NS_PER_SEC;
    rate->mib_per_sec = 0;
    ret = -pthread_create(&rate->thread, NULL, measure, rate);
    rate->has_thread = ret == 0;
    if (ret < 0) {
        rate->state = UNSTARTED;
        return ferry_error_set(err, ret, "no thread to measure the dirty rate with");
    }
    return 0;
}

json_t *qmp_dirty_rate_json(struct qmp_dirty_rate *rate, bool in_ms)
{
    static const char *const states[] = { "unstarted", "measuring", "measured" };
    json_t *object;

    pthread_mutex_lock(&rate->lock);
    object = json_pack("{s:s, s:I, s:s, s:s, s:I, s:I}", "status", states[rate->state], "sample-pages",
                       (json_int_t)rate->sample_pages, "mode", "page-sampling", "calc-time-unit",
                       in_ms ? "millisecond" : "second", "start-time", (json_int_t)rate->started_s, "calc-time",
                       (json_int_t)(rate->calc_ns / (in_ms ? NS_PER_MS : NS_PER_SEC)));
    if (object && rate->state == MEASURED &&
        json_object_set_new(object, "dirty-rate", json_integer((json_int_t)rate->mib_per_sec)) < 0) {
        json_decref(object);
        object = NULL;
    }
    pthread_mutex_unlock(&rate->lock);
    return object;
}
