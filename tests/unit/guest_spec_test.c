/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_spec_test.c - what is written about a synthetic guest is what it gets, or a sentence that says why not */
#include "guest.h"
#include "spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void parse(const char *text, struct guest_spec *spec)
{
    struct ferry_error err = { 0 };

    memset(spec, 0xee, sizeof(*spec));
    if (spec_parse(text, spec, &err) < 0)
        fail_msg("'%s': %s", text, ferry_error_text(&err));
}

static void nothing_means_the_defaults(void **state)
{
    struct guest_spec spec;

    for (int i = 0; i < 2; i++) {
        parse(i ? "" : NULL, &spec);
        assert_int_equal(spec.size_bytes, 256 << 20);
        assert_int_equal(spec.untouched_bytes, 0);
        assert_int_equal(spec.dirty_bytes_per_sec, 0);
        assert_int_equal(spec.reads_bytes_per_sec, 0);
        assert_int_equal(spec.seed, 1);
        assert_int_equal(spec.hot_percent, 25);
        assert_int_equal(spec.zero_percent, 0);
        assert_int_equal(spec.threads, 1);
        assert_int_equal(spec.pattern, SPEC_UNIFORM);
        assert_int_equal(spec.content, SPEC_RANDOM);
        assert_true(spec.huge);
        assert_int_equal(spec.dirty_log, SPEC_LOG_DEFAULT);
    }
}

static void every_key_is_understood(void **state)
{
    struct guest_spec spec;

    parse("size=1GiB,dirty=200MiB/s,pattern=hot,hot=10%,zero=30%,untouched=64GiB,content=mixed,threads=3,seed=77,"
          "huge=off,vfio=16MiB,beats=1000,reads=40MB/s",
          &spec);
    assert_int_equal(spec.beats, 1000);
    assert_int_equal(spec.reads_bytes_per_sec, 40000000);
    assert_int_equal(spec.vfio_bytes, 16 << 20);
    assert_int_equal(spec.size_bytes, 1 << 30);
    assert_int_equal(spec.dirty_bytes_per_sec, 200 << 20);
    assert_int_equal(spec.pattern, SPEC_HOT);
    assert_int_equal(spec.hot_percent, 10);
    assert_int_equal(spec.zero_percent, 30);
    assert_true(spec.untouched_bytes == UINT64_C(64) << 30);
    assert_int_equal(spec.content, SPEC_MIXED);
    assert_int_equal(spec.threads, 3);
    assert_int_equal(spec.seed, 77);
    assert_false(spec.huge);
    parse("dirty=unlimited,content=text,pattern=sequential", &spec);
    assert_true(spec.dirty_bytes_per_sec == SPEC_UNLIMITED);
    assert_int_equal(spec.content, SPEC_TEXT);
    assert_int_equal(spec.pattern, SPEC_SEQUENTIAL);
    parse("dirty-log=ring", &spec);
    assert_int_equal(spec.dirty_log, SPEC_LOG_RING);
}

static void a_hot_part_means_the_hot_pattern(void **state)
{
    struct guest_spec spec;

    parse("hot=5%", &spec);
    assert_int_equal(spec.pattern, SPEC_HOT);
    parse("dirty=0", &spec);
    assert_int_equal(spec.pattern, SPEC_UNIFORM);
    parse("pause=20ms,dirty=unlimited", &spec);
    assert_int_equal(spec.pattern, SPEC_BURSTS);
    assert_int_equal(spec.burst_ns, 100000000);
    assert_int_equal(spec.pause_ns, 20000000);
    parse("trace=/tmp/a.trace", &spec);
    assert_int_equal(spec.pattern, SPEC_TRACE);
    assert_string_equal(spec.trace, "/tmp/a.trace");
    assert_false(spec.sized);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "size", "'size' says nothing" },
        { "colour=red", "a guest has no 'colour': it has size, dirty" },
        { "beats=10001", "beats: 10001 is not within 0 and 10000" },
        { "dirty-log=magic", "dirty-log: 'magic' is not one of bitmap, ring or uffd" },
        { "size=1MiB,size=2MiB", "'size' is given twice" },
        { "size=1MiB,", "'' says nothing" },
        { "size=", "size: '' is not a size" },
        { "size=0", "size: 0 is not within 4.00 KiB and 1" },
        { "size=2TiB", "size: 2199023255552 is not within" },
        { "size=5000", "size: 5000 is not a multiple of 4096" },
        { "untouched=4095", "untouched: 4095 is not a multiple" },
        { "untouched=33TiB", "untouched: " },
        { "dirty=0.5", "dirty: '0.5' needs a unit" },
        { "dirty=0MiB/s", "dirty: a rate of '0MiB/s'" },
        { "hot=0%", "hot: 0 is not within 1 and 100" },
        { "hot=25", "hot: '25' is not a share" },
        { "hot=10%,pattern=uniform", "hot is about pattern=hot" },
        { "burst=0.1s,pattern=hot", "burst is about pattern=bursts" },
        { "pause=10us", "burst and pause: from 1 ms" },
        { "burst=90min", "burst and pause: from 1 ms" },
        { "burst=10ms,hot=5%", "burst is about pattern=bursts" },
        { "pattern=trace", "pattern=trace replays a file" },
        { "trace=", "trace: a file's name has" },
        { "trace=x,pattern=uniform", "trace is about pattern=trace" },
        { "trace=x,dirty=1MiB/s", "dirty: a trace says" },
        { "trace=x,threads=2", "threads: a trace says" },
        { "trace=x,zero=10%", "zero: a trace says" },
        { "trace=x,size=65GiB", "size: " },
        { "zero=101%", "zero: '101%' is not a share" },
        { "zero=100%,dirty=1MiB/s", "zero=100% leaves no page" },
        { "threads=0", "threads: 0 is not within 1 and 64" },
        { "threads=65", "threads: 65 is not within 1 and 64" },
        { "threads=-1", "threads: '-1' is not a whole number" },
        { "pattern=random", "pattern: 'random' is not one of uniform, sequential, hot, bursts or trace" },
        { "content=noise", "content: 'noise' is not one of random, text or mixed" },
        { "huge=1", "huge: '1' is not one of on or off" },
        { "seed=18446744073709551616", "seed: " },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct guest_spec spec = { .size_bytes = 99 };
        struct ferry_error err = { 0 };

        int ret = spec_parse(cases[i].text, &spec, &err);

        assert_true(ret < 0);
        assert_int_equal(ret, err.errnum);
        if (strncmp(err.text, cases[i].why, strlen(cases[i].why)) != 0)
            fail_msg("'%s': '%s', not '%s'", cases[i].text, err.text, cases[i].why);
        assert_int_equal(spec.size_bytes, 99);
    }
}

static void an_endless_text_is_refused(void **state)
{
    struct guest_spec spec;
    char text[2000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(spec_parse(text, &spec, NULL), -EINVAL);
}

static void numbers_from_elsewhere_are_checked(void **state)
{
    struct guest_spec good, spec;

    parse("", &good);
    spec = good;
    assert_int_equal(spec_check(&spec, NULL), 0);
    spec.pattern = 0;
    assert_int_equal(spec_check(&spec, NULL), -EINVAL);
    spec = good;
    spec.content = SPEC_MIXED + 1;
    assert_int_equal(spec_check(&spec, NULL), -EINVAL);
    spec = good;
    spec.zero_percent = 101;
    assert_int_equal(spec_check(&spec, NULL), -EINVAL);
    spec = good;
    spec.size_bytes = UINT64_MAX;
    assert_int_equal(spec_check(&spec, NULL), -EINVAL);
}

static void an_unknown_kind_is_refused(void **state)
{
    struct ferry_error err = { 0 };

    assert_null(bench_guest_new("patter:size=1MiB", &err));
    assert_string_equal(err.text, "there is no guest of the kind 'patter'");
    assert_null(bench_guest_incoming("pattern:size=1MiB", &err));
    assert_string_equal(err.text, "there is no guest of the kind 'pattern:size=1MiB'");
    assert_null(bench_guest_new("pattern:size=1", &err));
    assert_int_equal(err.errnum, -EINVAL);
    bench_guest_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_means_the_defaults),       cmocka_unit_test(every_key_is_understood),
        cmocka_unit_test(a_hot_part_means_the_hot_pattern), cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(an_endless_text_is_refused),       cmocka_unit_test(numbers_from_elsewhere_are_checked),
        cmocka_unit_test(an_unknown_kind_is_refused),
    };

    return cmocka_run_group_tests_name("guest_spec", tests, NULL, NULL);
}
