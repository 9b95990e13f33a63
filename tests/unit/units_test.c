/* SPDX-License-Identifier: BSD-3-Clause */
/* units_test.c - sizes, rates and times mean what people write, and doubtful ones are refused */
#include "units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void sizes(void **state)
{
    uint64_t v;

    assert_int_equal(units_parse_size("4096", &v, NULL), 0);
    assert_int_equal(v, 4096);
    assert_int_equal(units_parse_size("512MiB", &v, NULL), 0);
    assert_int_equal(v, 512u << 20);
    assert_int_equal(units_parse_size("1.5GiB", &v, NULL), 0);
    assert_int_equal(v, UINT64_C(3) << 29);
    assert_int_equal(units_parse_size("2GB", &v, NULL), 0);
    assert_int_equal(v, 2000000000);
}

static void rates(void **state)
{
    uint64_t v;

    assert_int_equal(units_parse_rate("5Gbit/s", &v, NULL), 0);
    assert_int_equal(v, 625000000);
    assert_int_equal(units_parse_rate("600MiB/s", &v, NULL), 0);
    assert_int_equal(v, 600u << 20);
    assert_int_equal(units_parse_rate("125000000", &v, NULL), 0);
    assert_int_equal(v, 125000000);
    assert_int_equal(units_parse_rate("unlimited", &v, NULL), 0);
    assert_true(v == UNITS_UNLIMITED);
}

static void times(void **state)
{
    uint64_t v;

    assert_int_equal(units_parse_time("300", &v, NULL), 0);
    assert_int_equal(v, 300000000);
    assert_int_equal(units_parse_time("1.5s", &v, NULL), 0);
    assert_int_equal(v, 1500000000);
    assert_int_equal(units_parse_time("20us", &v, NULL), 0);
    assert_int_equal(v, 20000);
}

/* A fraction without a unit, a limit of nothing, other people's units, signs, trailing words. */
static void doubtful_text_is_refused_with_a_sentence(void **state)
{
    static const char *const bad_rates[] = { "1.5", "0", "0MiB/s", "600MiB", "-5MiB/s", "", "fast", "5Gbit", "1e3" };
    static const char *const bad_sizes[] = { "1.5", "12XB", "-1", "1e30GiB", "99999999999999TiB", " 5MiB", "5 MiB" };
    struct ferry_error err;
    uint64_t v = 77;

    for (size_t i = 0; i < sizeof(bad_rates) / sizeof(bad_rates[0]); i++) {
        err.text[0] = '\0';
        assert_true(units_parse_rate(bad_rates[i], &v, &err) < 0);
        assert_true(strlen(err.text) > 10);
    }
    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++)
        assert_true(units_parse_size(bad_sizes[i], &v, &err) < 0);
    assert_int_equal(v, 77);
}

static void percent_and_whole_numbers(void **state)
{
    unsigned share;
    uint64_t v;

    assert_int_equal(units_parse_percent("25%", &share, NULL), 0);
    assert_int_equal(share, 25);
    assert_true(units_parse_percent("25", &share, NULL) < 0);
    assert_true(units_parse_percent("101%", &share, NULL) < 0);
    assert_true(units_parse_percent("-1%", &share, NULL) < 0);
    assert_int_equal(units_parse_uint("8", 1, 255, &v, NULL), 0);
    assert_int_equal(v, 8);
    assert_true(units_parse_uint("0", 1, 255, &v, NULL) < 0);
    assert_true(units_parse_uint("256", 1, 255, &v, NULL) < 0);
    assert_true(units_parse_uint("8x", 1, 255, &v, NULL) < 0);
}

static void figures_are_readable(void **state)
{
    char text[32];

    assert_string_equal(units_format_size(text, sizeof(text), 0), "0 B");
    assert_string_equal(units_format_size(text, sizeof(text), 1u << 30), "1.00 GiB");
    assert_string_equal(units_format_rate(text, sizeof(text), 812.5 * 1048576), "812 MiB/s");
    assert_string_equal(units_format_time(text, sizeof(text), 3210000), "3.21 ms");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(rates),
        cmocka_unit_test(times),
        cmocka_unit_test(doubtful_text_is_refused_with_a_sentence),
        cmocka_unit_test(percent_and_whole_numbers),
        cmocka_unit_test(figures_are_readable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
