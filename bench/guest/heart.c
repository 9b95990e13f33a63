/* SPDX-License-Identifier: BSD-3-Clause */
/* heart.c - a thread that notes the time again and again, so that the guest itself can say how long it was not running
 */
#include "heart.h"

#include "clock.h"
#include "moment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct heart {
    struct gate *gate; /* borrowed */
    pthread_t thread;
    atomic_uint_fast64_t beats; /* these three: written by the one who beats, read by anybody */
    atomic_uint_fast64_t gap_ns;
    atomic_int_fast64_t last_ns;
    uint64_t boot;     /* fixed */
    int64_t period_ns; /* fixed */
    bool resumed;      /* the next start ends a blackout */
    struct heart_record record;
    struct heart_blackout blackout;
};

static void beat(struct heart *heart, int64_t now)
{
    int64_t last = atomic_load_explicit(&heart->last_ns, memory_order_relaxed);

    if (last > 0 && now - last > (int64_t)atomic_load_explicit(&heart->gap_ns, memory_order_relaxed))
        atomic_store_explicit(&heart->gap_ns, (uint64_t)(now - last), memory_order_relaxed);
    atomic_store_explicit(&heart->last_ns, now, memory_order_relaxed);
    atomic_fetch_add_explicit(&heart->beats, 1, memory_order_relaxed);
}

static void *heart_main(void *opaque)
{
    struct heart *heart = opaque;

    /* Without it the kernel adds 50 us to every sleep. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (gate_enter(heart->gate)) {
        int64_t next = clock_now_ns();

        while (gate_is_open(heart->gate)) {
            int64_t now = clock_now_ns();

            beat(heart, now);
            next += heart->period_ns;
            if (next < now) /* held up: missed beats are not made up for */
                next = now + heart->period_ns;
            gate_sleep_until(heart->gate, next);
        }
        gate_leave(heart->gate);
    }
    return NULL;
}

struct heart *heart_new(struct gate *gate, struct ferry_error *err)
{
    struct heart *heart = calloc(1, sizeof(*heart));
    int ret;

    if (!heart) {
        ferry_error_set(err, -ENOMEM, "out of memory for the guest's heart");
        return NULL;
    }
    heart->gate = gate;
    heart->boot = moment_boot();
    heart->period_ns = HEART_PERIOD_NS;
    heart->blackout.ns = -1;
    ret = -pthread_create(&heart->thread, NULL, heart_main, heart);
    if (ret < 0) {
        ferry_error_set(err, ret, "cannot start the guest's heart: %s", strerror(-ret));
        free(heart);
        return NULL;
    }
    return heart;
}

void heart_set_period(struct heart *heart, int64_t ns)
{
    heart->period_ns = ns;
}

void heart_free(struct heart *heart)
{
    if (!heart)
        return;
    pthread_join(heart->thread, NULL);
    free(heart);
}

void heart_start(struct heart *heart)
{
    int64_t now = clock_now_ns();

    if (heart->resumed && heart->record.last_ns > 0) {
        heart->blackout.by_wall_clock = !heart->boot || heart->boot != heart->record.boot;
        heart->blackout.ns =
            moment_elapsed_ns(heart->record.last_ns, heart->record.last_wall_ns, !heart->blackout.by_wall_clock);
    }
    heart->resumed = false;
    beat(heart, now);
}

void heart_resume(struct heart *heart, const struct heart_record *record)
{
    heart->record = *record;
    heart->resumed = true;
    atomic_store_explicit(&heart->beats, record->beats, memory_order_relaxed);
    atomic_store_explicit(&heart->gap_ns, record->largest_gap_ns, memory_order_relaxed);
}

void heart_read(struct heart *heart, struct heart_record *record)
{
    record->beats = atomic_load_explicit(&heart->beats, memory_order_relaxed);
    record->largest_gap_ns = atomic_load_explicit(&heart->gap_ns, memory_order_relaxed);
    record->last_ns = atomic_load_explicit(&heart->last_ns, memory_order_relaxed);
    record->last_wall_ns = record->last_ns > 0 ? moment_wall_ns() - (clock_now_ns() - record->last_ns) : 0;
    record->boot = heart->boot;
}

struct heart_blackout heart_blackout(const struct heart *heart)
{
    return heart->blackout;
}

int heart_check(const struct heart_record *record, struct ferry_error *err)
{
    if (record->last_ns < 0 || record->last_wall_ns < 0 || record->largest_gap_ns > INT64_MAX)
        return ferry_error_set(err, -EINVAL, "a heartbeat before the beginning of time");
    return 0;
}
