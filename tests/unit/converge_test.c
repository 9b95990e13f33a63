/* SPDX-License-Identifier: BSD-3-Clause */
/* converge_test.c - the decision after each round, as a table */
#include "converge.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define MS  UINT64_C(1000000)

struct row {
    const char *what;
    struct converge_figures figures;
    enum ferry_verdict verdict;
    uint64_t needed; /* 0: not said */
};

/* pending, previous, channel/s, dirty/s, limit, devices, fitting rounds, iterative devices, they write/s */
static const struct row rows[] = {
    { "nothing left", { 0, 100 * MIB, 1000 * MIB, 0, 300 * MS, 0, 0 }, FERRY_VERDICT_SWITCH, 0 },
    { "nothing left, rate unknown", { 0, 0, 0, 0, 300 * MS, 0, 0 }, FERRY_VERDICT_SWITCH, 0 },
    { "does not fit, shrinks",
      { 500 * MIB, 1000 * MIB, 1000 * MIB, 500 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_CONVERGING,
      0 },
    { "does not fit, first round",
      { 900 * MIB, 0, 1000 * MIB, 900 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_CONVERGING,
      0 },
    { "fits but still shrinks",
      { 100 * MIB, 200 * MIB, 1000 * MIB, 500 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_CONVERGING,
      0 },
    { "fits and is flat", { 100 * MIB, 110 * MIB, 1000 * MIB, 500 * MIB, 300 * MS, 0, 1 }, FERRY_VERDICT_SWITCH, 0 },
    { "fits in less than a millisecond",
      { MIB / 2, 200 * MIB, 1000 * MIB, 5 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_SWITCH,
      0 },
    { "fits, shrinks, but long enough",
      { 100 * MIB, 200 * MIB, 1000 * MIB, 500 * MIB, 300 * MS, 0, 12 },
      FERRY_VERDICT_SWITCH,
      0 },
    { "devices do not fit the limit",
      { 1 * MIB, 1 * MIB, 100 * MIB, 1 * MIB, 300 * MS, 100 * MIB, 0 },
      FERRY_VERDICT_STALLED,
      337 * MIB },
    { "outrun: as much would be needed to overtake",
      { 1000 * MIB, 1000 * MIB, 100 * MIB, 800 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_CANNOT,
      900 * MIB },
    { "outrun by a small hot set: carrying it within the limit is less",
      { 30 * MIB, 30 * MIB, 50 * MIB, 800 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_CANNOT,
      100 * MIB },
    { "no page is left, but a device has much",
      { 0, 2000 * MIB, 1000 * MIB, 0, 300 * MS, 0, 0, 1000 * MIB, 100 * MIB },
      FERRY_VERDICT_CONVERGING,
      0 },
    { "a device and the pages together fit, and are flat",
      { 100 * MIB, 210 * MIB, 1000 * MIB, 0, 300 * MS, 0, 1, 100 * MIB, 100 * MIB },
      FERRY_VERDICT_SWITCH,
      0 },
    { "a device alone outruns the channel",
      { 0, 1000 * MIB, 100 * MIB, 0, 300 * MS, 0, 0, 1000 * MIB, 800 * MIB },
      FERRY_VERDICT_CANNOT,
      900 * MIB },
    { "the rest stays, though the channel is faster: it must be carried within the limit",
      { 60 * MIB, 61 * MIB, 100 * MIB, 30 * MIB, 300 * MS, 0, 0 },
      FERRY_VERDICT_STALLED,
      200 * MIB },
    /* All of 1000 MiB at random at 1.5 times the channel's rate: 777 are dirty after 10 s, 688 after 7.77 s. */
    { "rounds shrink by ever less",
      { 688 * MIB, 777 * MIB, 100 * MIB, 88 * MIB, 300 * MS, 0, 0, 0, 0, 7770 * MS, 10000 * MS, 77 * MIB },
      FERRY_VERDICT_CANNOT,
      124 * MIB },
    { "rounds shrink evenly, and 3 % more or less is noise",
      { 718 * MIB, 820 * MIB, 100 * MIB, 88 * MIB, 300 * MS, 0, 0, 0, 0, 8200 * MS, 10000 * MS, 85 * MIB },
      FERRY_VERDICT_CONVERGING,
      0 },
    { "it fitted, and a burst came: wait for it to pass",
      { 25 * MIB, 5 * MIB, 100 * MIB, 200 * MIB, 300 * MS, 0, 1, 0, 0, 125 * MS, 125 * MS, 40 * MIB },
      FERRY_VERDICT_CONVERGING,
      0 },
    { "but not for ever",
      { 25 * MIB, 5 * MIB, 100 * MIB, 200 * MIB, 300 * MS, 0, 12, 0, 0, 125 * MS, 125 * MS, 40 * MIB },
      FERRY_VERDICT_SWITCH,
      0 },
};

static void every_row(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct converge_decision decision = converge_decide(&rows[i].figures);

        if (decision.verdict != rows[i].verdict)
            fail_msg("%s: %s", rows[i].what, ferry_verdict_name(decision.verdict));
        if (rows[i].needed)
            assert_in_range(decision.needed_bytes_per_sec, rows[i].needed - MIB, rows[i].needed + MIB);
        else
            assert_int_equal(decision.needed_bytes_per_sec, 0);
        /* What the channel bears is below what it carries, and is said exactly when something is needed. */
        assert_int_equal(decision.bearable_bytes_per_sec,
                         rows[i].needed ? rows[i].figures.bytes_per_sec - rows[i].figures.bytes_per_sec / 9 : 0);
    }
}

static void expected_downtime_counts_pages_and_devices(void **state)
{
    struct converge_figures figures = { .pending_bytes = 100 * MIB,
                                        .bytes_per_sec = 1000 * MIB,
                                        .device_bytes = 100 * MIB,
                                        .downtime_limit_ns = 300 * MS };

    assert_in_range(converge_decide(&figures).expected_downtime_ns, 199 * MS, 201 * MS);
    figures.bytes_per_sec = 0;
    assert_true(converge_decide(&figures).expected_downtime_ns == UINT64_MAX);
}

static void hot_pages_wait_while_they_fit_or_are_the_smaller_part(void **state)
{
    struct converge_figures figures = { .bytes_per_sec = 100 * MIB, .downtime_limit_ns = 300 * MS };

    figures.pending_bytes = 40 * MIB;
    assert_true(converge_hold(&figures, 30 * MIB));  /* 0.3 s */
    assert_false(converge_hold(&figures, 31 * MIB)); /* too long, and 9 MiB are the rest */
    figures.pending_bytes = 100 * MIB;
    assert_true(converge_hold(&figures, 31 * MIB));
    figures.device_bytes = 10 * MIB;
    figures.pending_bytes = 40 * MIB;
    assert_false(converge_hold(&figures, 30 * MIB));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(expected_downtime_counts_pages_and_devices),
        cmocka_unit_test(hot_pages_wait_while_they_fit_or_are_the_smaller_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
