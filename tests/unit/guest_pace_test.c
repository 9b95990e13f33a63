/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_pace_test.c - the rate asked for is the rate that comes, without bursts; a gate that closed stays empty */
#include "clock.h"
#include "crew.h"
#include "gate.h"
#include "pace.h"

#include <ferry/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* How many pages come in @span_ns when asked every @step_ns. */
static uint64_t pages_in(struct pace *pace, int64_t from_ns, int64_t span_ns, int64_t step_ns)
{
    uint64_t pages = 0;

    for (int64_t at = step_ns; at <= span_ns; at += step_ns)
        pages += pace_due(pace, from_ns + at);
    return pages;
}

static void a_second_brings_a_seconds_worth(void **state)
{
    static const uint64_t rates[] = { 4096, 100000, 200u << 20, UINT64_C(3) << 30 };
    static const int64_t steps[] = { NS_PER_MS / 8, NS_PER_MS, 7 * NS_PER_MS };
    struct pace pace;

    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++)
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            uint64_t wanted = rates[r] / FERRY_PAGE_BYTES * (7 * 143 * NS_PER_MS) / NS_PER_SEC, got;

            pace_start(&pace, rates[r], 5 * NS_PER_SEC);
            got = pages_in(&pace, 5 * NS_PER_SEC, 7 * 143 * NS_PER_MS, steps[s]);
            if (got + 1 < wanted || got > wanted + wanted / 1000 + 1)
                fail_msg("%d pages, not %d", (int)got, (int)wanted);
        }
}

static void nothing_is_due_at_once(void **state)
{
    struct pace pace;

    pace_start(&pace, 200u << 20, 1000);
    assert_int_equal(pace_due(&pace, 1000), 0);
}

static void a_long_pause_is_no_burst(void **state)
{
    struct pace pace;

    pace_start(&pace, 100u << 20, 0);
    assert_int_equal(pace_due(&pace, 3600 * NS_PER_SEC), 256); /* 10 ms worth */
    assert_int_equal(pace_due(&pace, 3600 * NS_PER_SEC), 0);
    pace_start(&pace, 4096, 0); /* never less than a page */
    assert_int_equal(pace_due(&pace, 3600 * NS_PER_SEC), 1);
}

static void without_a_limit_there_is_always_work(void **state)
{
    struct pace pace;

    pace_start(&pace, PACE_UNLIMITED, 0);
    assert_true(pace_due(&pace, 0) > 0);
    assert_true(pace_due(&pace, 0) > 0);
    assert_int_equal(pace_next_ns(&pace, 77), 77);
}

static void bursts_have_the_rate_and_pauses_nothing(void **state)
{
    const uint64_t rate = 200u << 20;
    struct pace pace;
    uint64_t pages;

    pace_start(&pace, rate, 7);
    pace_in_bursts(&pace, 100 * NS_PER_MS, 400 * NS_PER_MS);
    for (int cycle = 0; cycle < 3; cycle++) {
        int64_t from = 7 + cycle * 500 * NS_PER_MS;

        pages = pages_in(&pace, from, 100 * NS_PER_MS, NS_PER_MS);
        assert_in_range(pages, rate / 10 / FERRY_PAGE_BYTES - 1, rate / 10 / FERRY_PAGE_BYTES + 1);
        assert_int_equal(pages_in(&pace, from + 100 * NS_PER_MS, 399 * NS_PER_MS, NS_PER_MS), 0);
        assert_in_range(pace_next_ns(&pace, from + 200 * NS_PER_MS), from + 500 * NS_PER_MS, from + 501 * NS_PER_MS);
    }
    pace_start(&pace, PACE_UNLIMITED, 0);
    pace_in_bursts(&pace, 100 * NS_PER_MS, 400 * NS_PER_MS);
    assert_true(pace_due(&pace, 99 * NS_PER_MS) > 0);
    assert_int_equal(pace_due(&pace, 100 * NS_PER_MS), 0);
    assert_int_equal(pace_next_ns(&pace, 100 * NS_PER_MS), 500 * NS_PER_MS);
    assert_true(pace_due(&pace, 500 * NS_PER_MS) > 0);
}

static void it_says_when_to_ask_again(void **state)
{
    struct pace pace;

    pace_start(&pace, 200u << 20, 0);
    assert_int_equal(pace_next_ns(&pace, 500), 500 + NS_PER_MS);
    pace_start(&pace, 4096, 0);
    assert_int_equal(pace_next_ns(&pace, 0), NS_PER_SEC);
    assert_int_equal(pace_due(&pace, pace_next_ns(&pace, 0)), 1);
    pace_start(&pace, 1, 0);
    assert_true(pace_next_ns(&pace, 0) > 1000 * NS_PER_SEC);
    pace_start(&pace, 0, 0);
    assert_true(pace_next_ns(&pace, 0) > 0);
}

/* ---- the gate ---------------------------------------------------------------------------------------------------- */

#define WORKERS 4

struct worker {
    struct gate *gate;
    pthread_t thread;
    atomic_uint steps;
    unsigned plain; /* unguarded: the gate's order is all there is */
    bool sleeps;
};

static void *worker_main(void *opaque)
{
    struct worker *worker = opaque;

    while (gate_enter(worker->gate)) {
        do {
            worker->plain++;
            atomic_fetch_add(&worker->steps, 1);
            if (worker->sleeps)
                gate_sleep_until(worker->gate, clock_now_ns() + 3600 * NS_PER_SEC);
        } while (gate_is_open(worker->gate));
        gate_leave(worker->gate);
    }
    return NULL;
}

static void nobody_works_behind_a_closed_gate(void **state)
{
    struct worker worker[WORKERS] = { 0 };
    struct gate gate;

    assert_int_equal(gate_init(&gate), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker[i].gate = &gate;
        worker[i].sleeps = i == 0;
        assert_int_equal(pthread_create(&worker[i].thread, NULL, worker_main, &worker[i]), 0);
    }
    for (unsigned round = 0; round < 20; round++) {
        unsigned before[WORKERS];

        for (unsigned i = 0; i < WORKERS; i++) {
            before[i] = worker[i].plain;
            assert_int_equal(before[i], atomic_load(&worker[i].steps));
        }
        gate_open(&gate);
        for (unsigned i = 0; i < WORKERS; i++)
            while (atomic_load(&worker[i].steps) == before[i])
                sched_yield();
        gate_close(&gate); /* the sleeper would be late by an hour */
    }
    gate_open(&gate);
    gate_quit(&gate);
    gate_open(&gate); /* too late */
    assert_false(gate_is_open(&gate));
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(worker[i].thread, NULL), 0);
    gate_destroy(&gate);
}

static void note(void *opaque, uint64_t index)
{
    atomic_uint *seen = opaque;

    atomic_fetch_add(&seen[index], 1);
}

static void a_crew_does_everything_once(void **state)
{
    static atomic_uint seen[5000];

    crew_run(0, note, NULL);
    crew_run(5000, note, seen);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(atomic_load(&seen[i]), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_brings_a_seconds_worth),
        cmocka_unit_test(nothing_is_due_at_once),
        cmocka_unit_test(a_long_pause_is_no_burst),
        cmocka_unit_test(without_a_limit_there_is_always_work),
        cmocka_unit_test(bursts_have_the_rate_and_pauses_nothing),
        cmocka_unit_test(it_says_when_to_ask_again),
        cmocka_unit_test(nobody_works_behind_a_closed_gate),
        cmocka_unit_test(a_crew_does_everything_once),
    };

    return cmocka_run_group_tests_name("guest_pace", tests, NULL, NULL);
}
