/* SPDX-License-Identifier: BSD-3-Clause */
/* simulate_test.c - simulated migrations against what can be worked out by hand, and against common sense */
#include "simulate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MIB 1048576.0
#define GIB (1024 * MIB)

static void assert_near(double value, double wanted, double share)
{
    if (fabs(value - wanted) > fabs(wanted) * share)
        fail_msg("%g, and not %g", value, wanted);
}

/* 1 GiB over 128 MiB/s: 8 s, and nothing else costs anything. */
static struct sim_terms plain(double dirty, bool in_order)
{
    struct sim_terms terms = {
        .link = { .bytes_per_sec = 128 * MIB, .channels = 1, .ratio = 1 },
        .guest = { .bytes = GIB },
        .downtime_limit_sec = 0.3,
    };

    assert_int_equal(dirtying_add(&terms.guest.writes, GIB, dirty, in_order), 0);
    return terms;
}

static void an_idle_guest_takes_its_memory_over_the_rate(void **state)
{
    struct sim_terms terms = plain(0, true);
    struct sim_result result;

    terms.setup_sec = 0.5;
    terms.switch_sec = 0.01;
    terms.link.round_trip_sec = 0.002;
    simulate(&terms, &result);
    assert_int_equal(result.verdict, FERRY_VERDICT_SWITCH);
    assert_near(result.total_sec, 8 + 0.5 + 0.01 + 0.002 + 0.003, 1e-6);
    assert_near(result.blackout_sec, 0.01 + 0.003, 1e-6);
    assert_near(result.bytes, GIB, 1e-9);
}

/* Each round is a quarter of the one before: 8 s (1 + 1/4 + 1/16 + ...), as far as it goes. */
static void rounds_are_a_geometric_series(void **state)
{
    struct sim_terms terms = plain(32 * MIB, true);
    struct sim_result result;
    double total = 0, next = 8;

    simulate(&terms, &result);
    assert_int_equal(result.verdict, FERRY_VERDICT_SWITCH);
    for (unsigned i = 0; i < result.rounds; i++, next /= 4)
        total += next;
    assert_near(result.total_sec, total + next, 1e-6);
    assert_near(result.blackout_sec, next, 1e-6);
    assert_near(result.bytes, result.total_sec * 128 * MIB, 1e-6);
    assert_true(result.blackout_sec <= 0.001); /* good enough is where it stops */
}

static void a_guest_that_writes_faster_cannot_converge_and_what_would_do_is_enough(void **state)
{
    const bool orders[] = { true, false };

    for (int i = 0; i < 2; i++) {
        struct sim_terms terms = plain(1.5 * 128 * MIB, orders[i]);
        struct sim_result result;

        simulate(&terms, &result);
        assert_int_equal(result.verdict, FERRY_VERDICT_CANNOT);
        assert_true(result.rounds <= 2);
        assert_true(result.needed_bytes_per_sec > 128 * MIB);
        assert_true(result.bearable_bytes_per_sec < 128 * MIB);
        terms.guest.writes.part[0].bytes_per_sec = result.bearable_bytes_per_sec;
        simulate(&terms, &result);
        assert_int_equal(result.verdict, FERRY_VERDICT_SWITCH);
    }
}

/* 90 % of the writes go to 5 %, at four times the link's rate: sent whenever they are found, the rest stays above the
 * limit.  Waiting, they fit. */
static void hot_pages_last_converges_where_as_found_stalls(void **state)
{
    struct sim_terms terms = plain(0, true);
    struct sim_result last, as_found;

    terms.downtime_limit_sec = 0.6;
    dirtying_add(&terms.guest.writes, 0.05 * GIB, 0.9 * 400 * MIB, true);
    dirtying_add(&terms.guest.writes, 0.95 * GIB, 0.1 * 400 * MIB, true);
    simulate(&terms, &as_found);
    terms.hot_last = true;
    simulate(&terms, &last);
    assert_int_not_equal(as_found.verdict, FERRY_VERDICT_SWITCH);
    assert_true(as_found.needed_bytes_per_sec > 128 * MIB);
    assert_int_equal(last.verdict, FERRY_VERDICT_SWITCH);
    assert_true(last.bytes < as_found.bytes);
    assert_true(last.blackout_sec <= terms.downtime_limit_sec);
}

/* Twelve terabytes: nothing overflows, and the time is what it must be. */
static void the_largest_guests_fit(void **state)
{
    struct sim_terms terms = {
        .link = { .bytes_per_sec = 12.5e9, .round_trip_sec = 200e-6, .channels = 16, .ratio = 1 },
        .guest = { .bytes = 12 * 1024 * GIB },
        .downtime_limit_sec = 0.3,
    };
    struct sim_result result;

    dirtying_add(&terms.guest.writes, 12 * 1024 * GIB, 5 * GIB, true);
    simulate(&terms, &result);
    assert_int_equal(result.verdict, FERRY_VERDICT_SWITCH);
    assert_near(result.total_sec, 12 * 1024 * GIB / 12.5e9 / (1 - 5 * GIB / 12.5e9), 0.01);
}

static void more_of_a_good_thing_is_never_worse(void **state)
{
    struct sim_result before = { .total_sec = INFINITY, .bytes = INFINITY }, now;

    for (double rate = 64 * MIB; rate < 4 * GIB; rate *= 1.1) {
        struct sim_terms terms = plain(40 * MIB, false);

        terms.link.bytes_per_sec = rate;
        simulate(&terms, &now);
        assert_true(now.total_sec <= before.total_sec);
        before = now;
    }
    before = (struct sim_result){ 0 };
    for (double dirty = MIB; dirty < 100 * MIB; dirty *= 1.1) {
        struct sim_terms terms = plain(dirty, true);

        simulate(&terms, &now);
        assert_true(now.total_sec >= before.total_sec * 0.999);
        before = now;
    }
}

static void channels_add_up_until_the_link_is_full(void **state)
{
    struct sim_terms terms = plain(0, true);
    struct sim_result result;

    terms.link.channel_per_sec = 40 * MIB;
    simulate(&terms, &result);
    assert_near(result.rate, 40 * MIB, 1e-9);
    terms.link.channels = 3;
    simulate(&terms, &result);
    assert_near(result.rate, 120 * MIB, 1e-9);
    terms.link.channels = 4;
    simulate(&terms, &result);
    assert_near(result.rate, 128 * MIB, 1e-9);
    terms.link.ratio = 0.5; /* the codec's threads are what counts now */
    simulate(&terms, &result);
    assert_near(result.rate, 160 * MIB, 1e-9);
    assert_near(result.bytes, GIB / 2, 1e-9);
}

static void bounds_hold_the_run_between_them(void **state)
{
    struct sim_terms terms = plain(60 * MIB, false);
    struct sim_result least, most, result;

    simulate(&terms, &result);
    simulate_bounds(&terms, 0.1, &least, &most);
    assert_true(least.total_sec < result.total_sec && result.total_sec < most.total_sec);
    assert_true(least.bytes <= result.bytes && result.bytes <= most.bytes);
    assert_true(least.rounds <= most.rounds);
}

static void a_fitted_curve_goes_through_its_samples(void **state)
{
    const struct dirtying_sample samples[] = {
        { 0.01, 10 * MIB }, { 0.1, 60 * MIB }, { 0.2, 62 * MIB }, { 1, 70 * MIB }
    };
    struct dirtying curve;

    dirtying_fit(&curve, samples, 4, GIB);
    for (int i = 0; i < 4; i++)
        assert_near(dirtying_bytes(&curve, samples[i].seconds), samples[i].bytes, 0.02);
    assert_in_range(dirtying_bytes(&curve, 1e9) / MIB, 80, 84); /* it has bent, and ends soon */
    dirtying_fit(&curve, samples, 1, GIB);
    assert_near(dirtying_bytes(&curve, 0.1), 100 * MIB, 0.02); /* it has not */
    assert_near(dirtying_bytes(&curve, 1e9), GIB, 1e-6);
    dirtying_fit(&curve, NULL, 0, GIB);
    assert_true(dirtying_bytes(&curve, 1) == 0);
}

/* Of a guest that writes 25 MiB/s, on a busy machine: with each corner kept, a third of a megabyte would be hot. */
static void what_may_be_noise_bends_nothing(void **state)
{
    const struct dirtying_sample samples[] = {
        { 0.0104, 0.332e6 }, { 0.0308, 0.741e6 }, { 0.1012, 2.576e6 }, { 0.3389, 6.115e6 }, { 1.0023, 22.671e6 }
    };
    struct dirtying curve;

    dirtying_fit(&curve, samples, 5, 96 * MIB);
    assert_int_equal(curve.count, 1);
    assert_near(curve.part[0].bytes_per_sec, 22.671e6 / 1.0023, 1e-6);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_guest_takes_its_memory_over_the_rate),
        cmocka_unit_test(rounds_are_a_geometric_series),
        cmocka_unit_test(a_guest_that_writes_faster_cannot_converge_and_what_would_do_is_enough),
        cmocka_unit_test(hot_pages_last_converges_where_as_found_stalls),
        cmocka_unit_test(the_largest_guests_fit),
        cmocka_unit_test(more_of_a_good_thing_is_never_worse),
        cmocka_unit_test(channels_add_up_until_the_link_is_full),
        cmocka_unit_test(bounds_hold_the_run_between_them),
        cmocka_unit_test(a_fitted_curve_goes_through_its_samples),
        cmocka_unit_test(what_may_be_noise_bends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
