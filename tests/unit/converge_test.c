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
      FERRY_VERDICT_CONVERGING,
      0 },
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(expected_downtime_counts_pages_and_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
