/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_alloc_test.c - each allocation of a look at a stream may fail: no crash, no leak, and a sentence or a result
 *
 * What is handed out is counted, so that a leak fails the test in every build.
 */
#include "failmalloc.h"
#include "inspect_fixture.h"

#include "inspect_json.h"
#include "inspect_print.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that the command does with a stream.  Returns what came of it. */
static int look_once(const uint8_t *data, size_t bytes, bool keep, FILE *to)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct inspect_options options = { .answer = true };
    struct ferry_error err = { 0 };
    struct inspect_report report;
    struct inspect_ram ram;
    int ret = -ENOMEM;

    inspect_report_init(&report);
    if (inspect_ram_init(&ram, keep, 1 << 20, &err) < 0) {
        assert_true(err.text[0]);
    } else if (chan) {
        struct ferry_reader *reader = ferry_reader_new(chan, &report.error);

        ret = reader ? inspect_stream(reader, &options, &ram, &report) : report.error.errnum;
        assert_true(ret == 0 || report.error.text[0]);
        inspect_print(to, &report, &ram, true);
        if (inspect_json(to, &report, &ram) < 0)
            ret = -ENOMEM;
    }
    inspect_report_clear(&report);
    inspect_ram_clear(&ram);
    ferry_channel_unref(chan);
    return ret;
}

static void assert_survives(void (*put)(struct ferry_writer *to), bool keep)
{
    FILE *to = fopen("/dev/null", "w");
    struct made made;
    const uint8_t *data;
    size_t bytes;
    long n;

    made_begin(&made);
    put(made.to);
    data = made_finish(&made, &bytes);
    look_once(data, bytes, keep, to);
    for (n = 0;; n++) {
        long before = failmalloc_alive();
        bool failed;
        int ret;

        failmalloc_arm(n);
        ret = look_once(data, bytes, keep, to);
        failed = failmalloc_disarm();
        assert_int_equal(failmalloc_alive(), before);
        if (!failed) {
            assert_int_equal(ret, 0);
            break;
        }
    }
    assert_true(n > 50);
    made_drop(&made);
    fclose(to);
}

/* The device comes before the end of memory, so that it is sized as it comes. */
static void put_early(struct ferry_writer *to)
{
    put_prologue(to);
    put_ram_start(to);
    put_full(to, GOLDEN_BODY);
    put_pages(to);
    put_end(to, GOLDEN);
}

static void test_golden_survives(void **state)
{
    assert_survives(put_golden, true);
    assert_survives(put_golden, false);
}

static void test_early_devices_survive(void **state)
{
    assert_survives(put_early, false);
}

static void test_postcopy_survives(void **state)
{
    assert_survives(put_postcopy, true);
}

/* Two requests, one of them for the same place, and a bitmap. */
static int read_returns(const uint8_t *data, size_t bytes, const struct inspect_ram *ram)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct report_returns returns = { .count = 0 };
    struct ferry_error err = { 0 };
    int ret = chan ? returns_add(&returns, chan, &err) : -ENOMEM;

    if (ret == 0)
        ret = returns_sort(&returns, ram->loader.blocks, ram->loader.count, &err);
    if (ret == 0)
        assert_true(returns_came(&returns, 0, 0, 1, 0, 0, 1));
    returns_clear(&returns);
    ferry_channel_unref(chan);
    return ret;
}

static void test_return_paths_survive(void **state)
{
    struct made stream, back;
    struct seen seen;
    const uint8_t *data;
    size_t bytes;
    bool failed = true;

    made_begin(&stream);
    put_golden(stream.to);
    look_at_made(&seen, &stream);
    made_begin(&back);
    put_hex(back.to, "0003000e0000000000001000000010000172000400"
                     "0c000000000000100000001000"
                     "0005000201720000000000000008"
                     "00000000000000000123456789abcdef");
    data = made_finish(&back, &bytes);
    for (long n = 0; failed; n++) {
        long before = failmalloc_alive();
        int ret;

        failmalloc_arm(n);
        ret = read_returns(data, bytes, &seen.ram);
        failed = failmalloc_disarm();
        assert_int_equal(failmalloc_alive(), before);
        assert_int_equal(ret, failed ? -ENOMEM : 0);
    }
    made_drop(&back);
    look_away(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_survives),
        cmocka_unit_test(test_early_devices_survive),
        cmocka_unit_test(test_postcopy_survives),
        cmocka_unit_test(test_return_paths_survive),
    };

    failmalloc_take_json();
    return cmocka_run_group_tests_name("inspect alloc", tests, NULL, NULL);
}
