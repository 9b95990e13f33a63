/* SPDX-License-Identifier: BSD-3-Clause */
/* latency_test.c - percentiles are right to a thirty-second, whatever the scale; counts, sums and buckets are exact */
#include "latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

static void nothing_was_measured(void **state)
{
    struct latency latency = { 0 };
    struct ferry_latency summary;

    latency_summary(&latency, &summary);
    assert_int_equal(summary.count, 0);
    assert_int_equal(summary.p50_ns, 0);
    assert_int_equal(summary.max_ns, 0);
    assert_int_equal(latency_permille(&latency, 999), 0);
}

static void one_value_is_every_percentile(void **state)
{
    static const int64_t values[] = { 0, 1, 63, 64, 65, 999, 123456789, INT64_C(1) << 39, INT64_C(1) << 50 };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct latency latency = { 0 };
        struct ferry_latency summary;

        latency_add(&latency, values[i]);
        latency_summary(&latency, &summary);
        assert_int_equal(summary.p50_ns, values[i]);
        assert_int_equal(summary.p999_ns, values[i]);
        assert_int_equal(summary.mean_ns, values[i]);
        assert_int_equal(summary.max_ns, values[i]);
    }
}

/* Against the sorted values themselves, from nanoseconds to minutes. */
static void percentiles_are_right_to_a_thirty_second(void **state)
{
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static struct latency latency;
    static const unsigned permille[] = { 1, 10, 500, 900, 990, 999, 1000 };
    uint64_t seed = 1, total = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        values[i] = (seed >> 20) >> (seed % 37 + 4);
        total += values[i];
        latency_add(&latency, (int64_t)values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    for (size_t i = 0; i < sizeof(permille) / sizeof(permille[0]); i++) {
        uint64_t exact = values[(COUNT * permille[i] + 999) / 1000 - 1];
        uint64_t told = latency_permille(&latency, permille[i]);

        assert_true(told >= exact);
        assert_true(told <= exact + exact / 32);
    }
    assert_int_equal(latency.total_ns, total);
    assert_int_equal(latency.max_ns, values[COUNT - 1]);
}

static void buckets_have_their_borders(void **state)
{
    static const struct {
        int64_t ns;
        unsigned bucket;
    } rows[] = {
        { -5, 0 },       { 0, 0 },        { 999, 0 },         { 1000, 0 },        { 1999, 0 },
        { 2000, 1 },     { 3999, 1 },     { 4000, 2 },        { 1023999, 9 },     { 1024000, 10 },
        { 2047999, 10 }, { 2048000, 11 }, { 8388607999, 22 }, { 8388608000, 23 }, { 900000000000, 23 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct latency latency = { 0 };
        struct ferry_latency summary;

        latency_add(&latency, rows[i].ns);
        latency_summary(&latency, &summary);
        for (unsigned bucket = 0; bucket < FERRY_LATENCY_BUCKETS; bucket++)
            assert_int_equal(summary.buckets[bucket], bucket == rows[i].bucket);
    }
}

static void two_halves_merged_are_the_whole(void **state)
{
    static struct latency whole, half[2];
    struct ferry_latency one, other;

    for (unsigned i = 0; i < 1000; i++) {
        latency_add(&whole, (int64_t)i * i * i);
        latency_add(&half[i % 2], (int64_t)i * i * i);
    }
    latency_merge(&half[0], &half[1]);
    latency_summary(&whole, &one);
    latency_summary(&half[0], &other);
    assert_memory_equal(&one, &other, sizeof(one));
    assert_int_equal(one.count, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_was_measured),
        cmocka_unit_test(one_value_is_every_percentile),
        cmocka_unit_test(percentiles_are_right_to_a_thirty_second),
        cmocka_unit_test(buckets_have_their_borders),
        cmocka_unit_test(two_halves_merged_are_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
