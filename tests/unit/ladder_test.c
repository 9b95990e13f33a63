/* SPDX-License-Identifier: BSD-3-Clause */
/* ladder_test.c - what is tried next, round by round */
#include "ladder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static const struct ferry_step_rates at_100 = { 100 * MIB, 100 * MIB };

static struct ladder ladder_of(const char *text)
{
    struct ladder ladder;

    assert_int_equal(ladder_parse(text, &ladder, NULL), 0);
    ladder.terms = (struct ladder_throttle){ .initial = 20, .increment = 10, .most = 99 };
    return ladder;
}

static void words_are_checked(void **state)
{
    struct ferry_error err;
    struct ladder ladder;

    assert_int_equal(ladder_parse("", &ladder, &err), 0);
    assert_int_equal(ladder.count, 0);
    assert_int_equal(ladder_parse("give-up,channels", &ladder, &err), 0);
    assert_int_equal(ladder.count, 2);
    assert_int_equal(ladder.rung[0], RUNG_GIVE_UP);
    assert_int_equal(ladder.rung[1], RUNG_CHANNELS);
    assert_int_equal(ladder_parse("throttle,throttle", &ladder, &err), -EINVAL);
    assert_int_equal(ladder_parse("throttle,,postcopy", &ladder, &err), -EINVAL);
    assert_int_equal(ladder_parse("throttled", &ladder, &err), -EINVAL);
    assert_non_null(strstr(err.text, "throttled"));
    assert_int_equal(ladder.count, 2); /* as before */
}

static void rungs_come_in_the_order_given_and_once(void **state)
{
    struct ladder ladder = ladder_of("postcopy,channels");

    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CONVERGING, &at_100).rung, RUNGS);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CANNOT, &at_100).rung, RUNG_POSTCOPY);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CANNOT, &at_100).rung, RUNG_CHANNELS);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CANNOT, &at_100).rung, RUNGS);
}

static void one_stalled_round_is_borne(void **state)
{
    struct ladder ladder = ladder_of("compress");

    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_STALLED, &at_100).rung, RUNGS);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CONVERGING, &at_100).rung, RUNGS);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_STALLED, &at_100).rung, RUNGS);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_STALLED, &at_100).rung, RUNG_COMPRESS);
}

/* The next round, in which the guest wrote so much. */
static unsigned throttled(struct ladder *ladder, uint64_t dirty, bool *kept)
{
    const struct ferry_step_rates rates = { 100 * MIB, dirty };
    struct ladder_move move;

    *kept = ladder_judge(ladder, &rates);
    move = ladder_next(ladder, FERRY_VERDICT_CANNOT, &rates);
    return move.rung == RUNG_THROTTLE ? move.percent : 0;
}

static void throttling_goes_on_while_it_helps(void **state)
{
    struct ladder ladder = ladder_of("throttle,give-up");
    bool kept;

    assert_int_equal(throttled(&ladder, 200 * MIB, &kept), 20);
    assert_int_equal(throttled(&ladder, 160 * MIB, &kept), 30);
    assert_true(kept);
    assert_int_equal(throttled(&ladder, 140 * MIB, &kept), 40);
    assert_true(kept);
    /* Nothing more is tried while it converges, and what helped stays. */
    assert_true(ladder_judge(&ladder, &at_100));
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CONVERGING, &at_100).rung, RUNGS);
    assert_int_equal(ladder.percent, 40);
}

static void a_try_that_brings_nothing_is_undone_and_the_next_goes_further(void **state)
{
    struct ladder ladder = ladder_of("throttle,give-up");
    const struct ferry_step_rates rates = { 100 * MIB, 200 * MIB };
    bool kept;

    assert_int_equal(throttled(&ladder, 200 * MIB, &kept), 20);
    assert_int_equal(throttled(&ladder, 196 * MIB, &kept), 40); /* 2 % less is nothing */
    assert_false(kept);
    assert_int_equal(ladder.percent, 0);
    assert_int_equal(throttled(&ladder, 200 * MIB, &kept), 80);
    assert_int_equal(throttled(&ladder, 200 * MIB, &kept), 99);
    assert_false(ladder_judge(&ladder, &rates));
    assert_int_equal(ladder.percent, 0);
    assert_int_equal(ladder_next(&ladder, FERRY_VERDICT_CANNOT, &rates).rung, RUNG_GIVE_UP);
}

static void a_guest_that_cannot_be_throttled_is_passed_over(void **state)
{
    struct ladder ladder = ladder_of("throttle,postcopy");
    struct ladder_move move = ladder_next(&ladder, FERRY_VERDICT_CANNOT, &at_100);

    assert_int_equal(move.rung, RUNG_THROTTLE);
    assert_int_equal(ladder_instead(&ladder, &move, &at_100).rung, RUNG_POSTCOPY);
    assert_true(ladder_judge(&ladder, &at_100)); /* nothing was tried */
    assert_int_equal(ladder.percent, 0);
}

static void a_target_is_gone_for_at_once(void **state)
{
    struct ladder ladder = ladder_of("throttle");
    bool kept;

    ladder.terms.target_bytes_per_sec = 50 * MIB;
    assert_int_equal(throttled(&ladder, 200 * MIB, &kept), 75);
    /* It still writes 100: as if 400 without throttling. */
    assert_int_equal(throttled(&ladder, 100 * MIB, &kept), 88);
    assert_true(kept);
}

static void never_more_than_the_most(void **state)
{
    struct ladder ladder = ladder_of("throttle");
    bool kept;

    ladder.terms.most = 25;
    assert_int_equal(throttled(&ladder, 200 * MIB, &kept), 20);
    assert_int_equal(throttled(&ladder, 150 * MIB, &kept), 25);
    assert_int_equal(throttled(&ladder, 100 * MIB, &kept), 0);
    assert_int_equal(ladder.percent, 25);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_checked),
        cmocka_unit_test(rungs_come_in_the_order_given_and_once),
        cmocka_unit_test(one_stalled_round_is_borne),
        cmocka_unit_test(throttling_goes_on_while_it_helps),
        cmocka_unit_test(a_try_that_brings_nothing_is_undone_and_the_next_goes_further),
        cmocka_unit_test(a_guest_that_cannot_be_throttled_is_passed_over),
        cmocka_unit_test(a_target_is_gone_for_at_once),
        cmocka_unit_test(never_more_than_the_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
