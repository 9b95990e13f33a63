/* SPDX-License-Identifier: BSD-3-Clause */
/* progress_test.c - the line never runs backwards, never divides by nothing, and always fits */
#include "progress.h"

#include <ferry/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB    (UINT64_C(1) << 20)
#define SECOND INT64_C(1000000000)
#define ROOM   256

static struct progress_figures at(int64_t tenths, uint64_t done_mib, uint64_t left_mib)
{
    return (struct progress_figures){
        .phase = FERRY_PHASE_ACTIVE,
        .total_ns = tenths * SECOND / 10,
        .total_bytes = 1024 * MIB,
        .done_bytes = done_mib * MIB,
        .remaining_bytes = left_mib * MIB,
        .wire_bytes = done_mib * MIB,
    };
}

static void nothing_known_yet(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = { 0 };
    char line[ROOM];

    assert_string_equal(progress_line(&meter, &figures, line, sizeof(line), 20), "none   0%");
    figures.phase = FERRY_PHASE_SETUP;
    assert_non_null(strstr(progress_line(&meter, &figures, line, sizeof(line), 80), "setup [....................."));
    assert_null(strstr(line, "nan"));
    assert_null(strstr(line, "inf"));
    assert_null(strstr(line, "left"));
}

/* phase, done, left, rounds, at the destination: percent */
static const struct {
    enum ferry_phase phase;
    unsigned done_mib, left_mib, rounds;
    bool receiving;
    unsigned percent;
} shares[] = {
    { FERRY_PHASE_SETUP, 0, 0, 0, false, 0 },         { FERRY_PHASE_ACTIVE, 0, 1024, 0, false, 0 },
    { FERRY_PHASE_ACTIVE, 512, 512, 0, false, 45 },   { FERRY_PHASE_ACTIVE, 1024, 0, 0, false, 90 },
    { FERRY_PHASE_ACTIVE, 1024, 1024, 1, false, 90 }, { FERRY_PHASE_ACTIVE, 1024, 2048, 1, false, 90 },
    { FERRY_PHASE_ACTIVE, 1500, 512, 1, false, 94 },  { FERRY_PHASE_ACTIVE, 9000, 0, 8, false, 99 },
    { FERRY_PHASE_DEVICE, 9000, 512, 9, false, 99 },  { FERRY_PHASE_COMPLETED, 9000, 0, 9, false, 100 },
    { FERRY_PHASE_ACTIVE, 512, 0, 0, true, 49 },      { FERRY_PHASE_ACTIVE, 4096, 0, 0, true, 99 },
};

static void percent_of_the_work(void **state)
{
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        struct progress_meter meter = { 0 };
        struct progress_figures figures = at(10, shares[i].done_mib, shares[i].left_mib);
        char line[ROOM];

        figures.phase = shares[i].phase;
        figures.rounds = shares[i].rounds;
        figures.receiving = shares[i].receiving;
        progress_line(&meter, &figures, line, sizeof(line), 80);
        assert_int_equal(meter.percent, shares[i].percent);
    }
}

static void percent_never_runs_backwards(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures;
    unsigned last = 0;
    char line[ROOM];

    srandom(7);
    for (int i = 0; i < 2000; i++) {
        figures = at(random() % 1000, (uint64_t)random() % 4096, (uint64_t)random() % 1024);
        figures.rounds = (uint64_t)random() % 3;
        progress_line(&meter, &figures, line, sizeof(line), 200);
        assert_true(meter.percent >= last && meter.percent <= 99);
        last = meter.percent;
    }
    assert_true(last > 50);
}

static void a_new_round_does_not_turn_it_back(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 2048, 100);
    char line[ROOM];

    figures.rounds = 1;
    progress_line(&meter, &figures, line, sizeof(line), 80);
    assert_int_equal(meter.percent, 98);
    figures = at(11, 2048, 512);
    figures.rounds = 2;
    assert_non_null(strstr(progress_line(&meter, &figures, line, sizeof(line), 80), " 98%"));
}

static void only_the_end_is_a_hundred(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 4096, 0);
    char line[ROOM];

    figures.rounds = 3;
    progress_line(&meter, &figures, line, sizeof(line), 80);
    assert_int_equal(meter.percent, 99);
    figures.phase = FERRY_PHASE_COMPLETED;
    assert_non_null(strstr(progress_line(&meter, &figures, line, sizeof(line), 80), "100%"));
}

static void rate_and_what_is_left(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 200, 824);
    char line[ROOM];

    progress_line(&meter, &figures, line, sizeof(line), 120);
    assert_non_null(strstr(line, "200 MiB/s"));
    assert_non_null(strstr(line, "4.1 s left"));
    figures = at(20, 400, 600);
    figures.dirty_bytes_per_sec = 100 * MIB;
    figures.rounds = 2;
    progress_line(&meter, &figures, line, sizeof(line), 120);
    assert_non_null(strstr(line, "dirty 100"));
    assert_non_null(strstr(line, "round 2"));
    assert_non_null(strstr(line, "6.0 s left"));
}

static void a_guest_that_writes_faster_has_no_end_in_sight(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 200, 824);
    char line[ROOM];

    figures.dirty_bytes_per_sec = 200 * MIB;
    assert_non_null(strstr(progress_line(&meter, &figures, line, sizeof(line), 120), "no end in sight"));
}

static void the_same_moment_twice(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 200, 824);
    char first[ROOM], second[ROOM];

    progress_line(&meter, &figures, first, sizeof(first), 120);
    progress_line(&meter, &figures, second, sizeof(second), 120);
    assert_string_equal(first, second);
}

static void it_fits_every_width(void **state)
{
    struct progress_figures figures = at(36000, 123456789, 987654321);
    char line[ROOM];

    figures.dirty_bytes_per_sec = 100 * MIB;
    figures.rounds = 1000;
    for (unsigned columns = 0; columns < 300; columns++) {
        struct progress_meter meter = { 0 };

        progress_line(&meter, &figures, line, sizeof(line), columns);
        assert_true(strlen(line) <= (columns > 0 ? columns - 1 : 0));
    }
    assert_non_null(strstr(line, "["));
}

static void a_narrow_terminal_keeps_what_matters(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 200, 824);
    char line[ROOM];

    figures.dirty_bytes_per_sec = 10 * MIB;
    figures.rounds = 3;
    progress_line(&meter, &figures, line, sizeof(line), 66);
    assert_null(strstr(line, "["));
    assert_non_null(strstr(line, "round 3"));
    progress_line(&meter, &figures, line, sizeof(line), 40);
    assert_null(strstr(line, "round"));
    assert_non_null(strstr(line, "left"));
    progress_line(&meter, &figures, line, sizeof(line), 14);
    assert_string_equal(line, "active  91%");
}

static void it_fits_every_buffer(void **state)
{
    struct progress_meter meter = { 0 };
    struct progress_figures figures = at(10, 200, 824);
    char *line = malloc(6);

    assert_non_null(line);
    assert_string_equal(progress_line(&meter, &figures, line, 6, 200), "activ");
    free(line);
}

static void figures_of_a_session(void **state)
{
    struct ferry_stats stats = { .phase = FERRY_PHASE_ACTIVE };
    struct progress_figures figures;

    stats.ram.normal_pages = 3;
    stats.ram.zero_pages = 4;
    stats.ram.remaining_bytes = 5;
    stats.wire.bytes = 6;
    progress_figures_from(&stats, true, &figures);
    assert_true(figures.receiving);
    assert_int_equal(figures.done_bytes, 7 * FERRY_PAGE_BYTES);
    assert_int_equal(figures.remaining_bytes, 5);
    assert_int_equal(figures.wire_bytes, 6);
    assert_int_equal(figures.phase, FERRY_PHASE_ACTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_yet),
        cmocka_unit_test(percent_of_the_work),
        cmocka_unit_test(percent_never_runs_backwards),
        cmocka_unit_test(a_new_round_does_not_turn_it_back),
        cmocka_unit_test(only_the_end_is_a_hundred),
        cmocka_unit_test(rate_and_what_is_left),
        cmocka_unit_test(a_guest_that_writes_faster_has_no_end_in_sight),
        cmocka_unit_test(the_same_moment_twice),
        cmocka_unit_test(it_fits_every_width),
        cmocka_unit_test(a_narrow_terminal_keeps_what_matters),
        cmocka_unit_test(it_fits_every_buffer),
        cmocka_unit_test(figures_of_a_session),
    };

    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
