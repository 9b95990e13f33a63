/* SPDX-License-Identifier: BSD-3-Clause */
/* idle_test.c - whoever waits for an idle processor is let go by one, or by the end; nobody waits for the thread itself
 */
#include "idle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void an_idle_processor_ends_the_wait(void **state)
{
    struct idle *idle = idle_new(NULL);

    assert_non_null(idle);
    for (int i = 0; i < 100; i++)
        idle_wait(idle);
    idle_end(idle);
    idle_free(idle);
}

struct waiter {
    struct idle *idle;
    atomic_bool end;
    unsigned waits;
};

static void *wait_on(void *opaque)
{
    struct waiter *waiter = opaque;

    do {
        idle_wait(waiter->idle);
        waiter->waits++;
    } while (!atomic_load(&waiter->end));
    return NULL;
}

static void the_end_wakes_who_waits_now_and_later(void **state)
{
    for (int i = 0; i < 50; i++) {
        struct waiter waiter = { .idle = idle_new(NULL) };
        pthread_t thread;

        assert_non_null(waiter.idle);
        assert_int_equal(pthread_create(&thread, NULL, wait_on, &waiter), 0);
        atomic_store(&waiter.end, true);
        idle_end(waiter.idle);
        pthread_join(thread, NULL);
        assert_true(waiter.waits > 0);
        for (int again = 0; again < 1000; again++)
            idle_wait(waiter.idle);
        idle_free(waiter.idle);
    }
}

static void it_may_end_before_its_thread_has_run(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct idle *idle = idle_new(NULL);

        assert_non_null(idle);
        idle_end(idle);
        idle_free(idle);
    }
    idle_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_processor_ends_the_wait),
        cmocka_unit_test(the_end_wakes_who_waits_now_and_later),
        cmocka_unit_test(it_may_end_before_its_thread_has_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
