/* SPDX-License-Identifier: BSD-3-Clause */
/* throttle_test.c - a guest is held back by no more and for no longer than was allowed */
#include "throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static void without_a_budget_as_wanted(void **state)
{
    struct throttle throttle = { .bearable = 30 };

    assert_int_equal(throttle_want(&throttle, 80, 1 * S), 80);
    assert_int_equal(throttle_look(&throttle, 1000 * S), 80);
    assert_int_equal(throttle_want(&throttle, 0, 1001 * S), 0);
    assert_int_equal(throttle.held_ns, 1000 * S);
    assert_int_equal(throttle_look(&throttle, 2000 * S), 0);
    assert_int_equal(throttle.held_ns, 1000 * S);
}

static void the_peak_is_bounded_in_all(void **state)
{
    struct throttle throttle = { .bearable = 30, .peak_ns = 10 * (uint64_t)S };

    assert_int_equal(throttle_want(&throttle, 80, 1 * S), 80);
    assert_int_equal(throttle_look(&throttle, 5 * S), 80);
    assert_int_equal(throttle_want(&throttle, 20, 7 * S), 20); /* six seconds of ten are spent */
    assert_int_equal(throttle_want(&throttle, 99, 100 * S), 99);
    assert_int_equal(throttle_look(&throttle, 103 * S), 99);
    assert_int_equal(throttle_look(&throttle, 104 * S), 30);
    assert_int_equal(throttle_want(&throttle, 40, 105 * S), 30);
    assert_int_equal(throttle_want(&throttle, 25, 106 * S), 25);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_budget_as_wanted),
        cmocka_unit_test(the_peak_is_bounded_in_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
