/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_dirty_rate.c - calc-dirty-rate and query-dirty-rate: one measurement at a time, on a thread of its own */
#include "qmp_dirty_rate.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define TIME_MIN_MS 50
#define TIME_MAX_MS 60000

enum state {
    UNSTARTED,
    MEASURING,
    MEASURED,
};

struct qmp_dirty_rate {
    struct ferry_guest *guest; /* borrowed */
    pthread_t thread;
    bool has_thread; /* to be joined */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock; the first three fixed while a thread measures */
    enum qmp_rate_mode mode;
    int64_t calc_ns, started_s, sample_pages;
    enum state state;
    bool stop;
    struct qmp_rate_result result;
    struct ferry_error error; /* why there is no result; errnum 0: none */
};

struct qmp_dirty_rate *qmp_dirty_rate_new(struct ferry_guest *guest)
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

static void break_off(struct qmp_dirty_rate *rate)
{
    pthread_mutex_lock(&rate->lock);
    rate->stop = true;
    pthread_cond_broadcast(&rate->changed);
    pthread_mutex_unlock(&rate->lock);
    join(rate);
    rate->stop = false;
}

void qmp_dirty_rate_free(struct qmp_dirty_rate *rate)
{
    if (!rate)
        return;
    break_off(rate);
    pthread_cond_destroy(&rate->changed);
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

void qmp_dirty_rate_give_way(struct qmp_dirty_rate *rate)
{
    if (rate->mode != QMP_RATE_PAGE_SAMPLING)
        break_off(rate);
}

/* False when it is to end. */
static bool wait_time(void *opaque)
{
    struct qmp_dirty_rate *rate = opaque;
    struct timespec when = clock_timespec(clock_now_ns() + rate->calc_ns);
    bool stop;

    pthread_mutex_lock(&rate->lock);
    while (!rate->stop && pthread_cond_timedwait(&rate->changed, &rate->lock, &when) != ETIMEDOUT)
        ;
    stop = rate->stop;
    pthread_mutex_unlock(&rate->lock);
    return !stop;
}

static void *measure(void *opaque)
{
    struct qmp_dirty_rate *rate = opaque;
    const struct qmp_rate_pause pause = { wait_time, rate };
    struct qmp_rate_result result = { 0 };
    struct ferry_error err = { 0 };
    int ret;

    if (rate->mode == QMP_RATE_PAGE_SAMPLING)
        ret = qmp_rate_by_pages(rate->guest, rate->sample_pages, &pause, &result, &err);
    else
        ret = qmp_rate_by_trackers(rate->guest, &pause, &result, &err);
    pthread_mutex_lock(&rate->lock);
    rate->state = ret == 0 && result.whole ? MEASURED : UNSTARTED;
    rate->result = result;
    rate->error = err;
    pthread_mutex_unlock(&rate->lock);
    return NULL;
}

static int check(struct qmp_dirty_rate *rate, const struct qmp_rate_request *request, struct ferry_error *err)
{
    int64_t factor = request->in_ms ? 1 : 1000;
    bool busy;

    pthread_mutex_lock(&rate->lock);
    busy = rate->state == MEASURING;
    pthread_mutex_unlock(&rate->lock);
    if (busy)
        return ferry_error_set(err, -EBUSY, "the dirty rate is already being measured.");
    if (request->time < 0 || request->time > TIME_MAX_MS / factor || request->time * factor < TIME_MIN_MS)
        return ferry_error_set(err, -ERANGE, "Calculation time is out of range [%dms, %dms].", TIME_MIN_MS,
                               TIME_MAX_MS);
    if (request->sample_pages && request->mode != QMP_RATE_PAGE_SAMPLING)
        return ferry_error_set(err, -EINVAL, "sample-pages is used only in page-sampling mode");
    if (request->sample_pages &&
        (request->sample_pages < QMP_SAMPLE_PAGES_MIN || request->sample_pages > QMP_SAMPLE_PAGES_MAX))
        return ferry_error_set(err, -ERANGE, "sample-pages is out of range[%d, %d].", QMP_SAMPLE_PAGES_MIN,
                               QMP_SAMPLE_PAGES_MAX);
    if (!qmp_rate_possible(rate->guest, request->mode))
        return ferry_error_set(err, -ENOTSUP, "mode %s is not enabled, use other method instead.",
                               qmp_rate_mode_name(request->mode));
    return 0;
}

int qmp_dirty_rate_start(struct qmp_dirty_rate *rate, const struct qmp_rate_request *request, struct ferry_error *err)
{
    int ret = check(rate, request, err);

    if (ret < 0)
        return ret;
    join(rate);
    rate->state = MEASURING;
    rate->mode = request->mode;
    rate->calc_ns = request->time * (request->in_ms ? 1 : 1000) * NS_PER_MS;
    rate->sample_pages = request->sample_pages ? request->sample_pages : QMP_SAMPLE_PAGES_DEFAULT;
    rate->started_s = clock_now_ns() / NS_PER_SEC;
    rate->error = (struct ferry_error){ 0 };
    ret = -pthread_create(&rate->thread, NULL, measure, rate);
    rate->has_thread = ret == 0;
    if (ret < 0) {
        rate->state = UNSTARTED;
        return ferry_error_set(err, ret, "no thread to measure the dirty rate with");
    }
    return 0;
}

static json_int_t mib(double bytes)
{
    return (json_int_t)(bytes / (1 << 20));
}

static json_t *vcpus_json(const struct qmp_rate_result *result)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < result->vcpus; i++)
        json_array_append_new(list,
                              json_pack("{s:i, s:I}", "id", (int)i, "dirty-rate", mib(result->vcpu_bytes_per_sec[i])));
    return list;
}

/* With the lock held.  As at QEMU: a measurement that took no samples says 0 of them. */
static void add_result(const struct qmp_dirty_rate *rate, json_t *object)
{
    json_object_set_new(object, "dirty-rate", json_integer(mib(rate->result.bytes_per_sec)));
    if (rate->mode != QMP_RATE_PAGE_SAMPLING)
        json_object_set_new(object, "sample-pages", json_integer(0));
    if (rate->mode == QMP_RATE_DIRTY_RING)
        json_object_set_new(object, "vcpu-dirty-rate", vcpus_json(&rate->result));
}

json_t *qmp_dirty_rate_json(struct qmp_dirty_rate *rate, bool in_ms)
{
    static const char *const states[] = { "unstarted", "measuring", "measured" };
    json_t *object;

    pthread_mutex_lock(&rate->lock);
    object = json_pack("{s:s, s:I, s:s, s:s, s:I, s:I}", "status", states[rate->state], "sample-pages",
                       (json_int_t)rate->sample_pages, "mode", qmp_rate_mode_name(rate->mode), "calc-time-unit",
                       in_ms ? "millisecond" : "second", "start-time", (json_int_t)rate->started_s, "calc-time",
                       (json_int_t)(rate->calc_ns / (in_ms ? NS_PER_MS : NS_PER_SEC)));
    if (object && rate->state == MEASURED)
        add_result(rate, object);
    if (object && rate->error.errnum)
        json_object_set_new(object, "ferry", json_pack("{s:s}", "error-desc", rate->error.text));
    pthread_mutex_unlock(&rate->lock);
    return object;
}
