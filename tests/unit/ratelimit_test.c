/* SPDX-License-Identifier: BSD-3-Clause */
/* ratelimit_test.c - the bucket is smooth, may be changed and lets everybody go */
#include "clock.h"
#include "ratelimit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DRAWS 4096

struct draw {
    int64_t at;
    size_t bytes;
};

/* No 20 ms window of what was granted holds more than 1.5 x the limit, whatever the scheduler does to this thread:
 * a grant can come late, never early. */
static void no_window_exceeds_the_limit(void **state)
{
    const uint64_t rate = 50u << 20;
    struct ratelimit *limit = ratelimit_new(rate);
    struct draw *draws = calloc(DRAWS, sizeof(*draws));
    int64_t began = clock_now_ns();
    uint64_t total = 0;
    int count = 0;

    assert_non_null(limit);
    while (count < DRAWS && clock_now_ns() - began < 300 * NS_PER_MS) {
        draws[count].bytes = ratelimit_draw(limit, 1u << 20);
        draws[count].at = clock_now_ns();
        total += draws[count++].bytes;
    }
    for (int first = 0; first < count; first++) {
        uint64_t window = 0;

        for (int i = first; i < count && draws[i].at - draws[first].at < 15 * NS_PER_MS; i++)
            window += draws[i].bytes;
        assert_true(window <= rate * 30 / 1000);
    }
    assert_true((double)total <= 1.02 * (double)rate * (double)(draws[count - 1].at - began) / NS_PER_SEC + 300000);
    free(draws);
    ratelimit_free(limit);
}

static void unlimited_grants_everything_at_once(void **state)
{
    struct ratelimit *limit = ratelimit_new(RATELIMIT_UNLIMITED);

    assert_int_equal(ratelimit_draw(limit, 123456789), 123456789);
    ratelimit_free(limit);
}

static void *draw_much(void *opaque)
{
    size_t left = 1u << 20;

    while (left > 0)
        left -= ratelimit_draw(opaque, left);
    return NULL;
}

/* At 2 KiB/s a MiB takes minutes: the thread ends only because somebody changed the limit. */
static void a_new_limit_wakes_those_who_wait(void **state)
{
    struct ratelimit *limit = ratelimit_new(2048);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, draw_much, limit), 0);
    ratelimit_set(limit, RATELIMIT_UNLIMITED);
    pthread_join(thread, NULL);
    assert_true(ratelimit_get(limit) == RATELIMIT_UNLIMITED);
    ratelimit_free(limit);
}

static void release_wakes_those_who_wait(void **state)
{
    struct ratelimit *limit = ratelimit_new(2048);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, draw_much, limit), 0);
    ratelimit_release(limit);
    pthread_join(thread, NULL);
    ratelimit_free(limit);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_window_exceeds_the_limit),
        cmocka_unit_test(unlimited_grants_everything_at_once),
        cmocka_unit_test(a_new_limit_wakes_those_who_wait),
        cmocka_unit_test(release_wakes_those_who_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
