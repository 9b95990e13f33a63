/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_trace_test.c - what was recorded is replayed page by page and interval by interval, and no file does any harm
 */
#include "clock.h"
#include "dirty_trace.h"
#include "ram_map.h"
#include "regions.h"
#include "replay.h"
#include "tracker.h"

#include <fcntl.h>
#include <ferry/memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES     2048
#define INTERVALS 12
#define EACH_NS   (100 * NS_PER_MS)
#define HEAD      "{\"ferry-dirty-trace\": 1, \"page-bytes\": 4096, \"pages\": 100}\n"

static char path[] = "/tmp/ferry-trace-XXXXXX";

static void put_text(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct trace *must_read(void)
{
    struct ferry_error err = { 0 };
    struct trace *trace = trace_read(path, &err);

    if (!trace)
        fail_msg("%s", ferry_error_text(&err));
    return trace;
}

static struct dirty_trace *record(const char *way)
{
    const struct dirty_trace_block blocks[] = { { "a \"strange\" name\n", 1000 }, { "ram", PAGES - 1000 } };
    struct dirty_trace *trace = dirty_trace_create(path, way, blocks, 2, NULL);

    assert_non_null(trace);
    return trace;
}

static void what_is_written_is_read(void **state)
{
    struct dirty_trace *out = record("test");
    struct dirty_trace_figures figures;
    struct dirty_map map;
    struct trace *in;

    assert_int_equal(dirty_init(&map, PAGES - 1000), 0);
    dirty_set_range(&map, 0, 2);
    dirty_set_range(&map, 7, 3);
    dirty_trace_until(out, 50 * NS_PER_MS);
    dirty_trace_run(out, 3, 1);
    dirty_trace_run(out, 998, 2);
    dirty_trace_map(out, 1, &map);
    dirty_trace_until(out, 50 * NS_PER_MS); /* not at the same moment */
    dirty_trace_until(out, 90 * NS_PER_MS);
    dirty_trace_run(out, PAGES - 1, 1);
    assert_int_equal(dirty_trace_close(out, &figures, NULL), 0);
    assert_int_equal(figures.intervals, 3);
    assert_int_equal(figures.pages, 9);
    in = must_read();
    assert_int_equal(in->pages, PAGES);
    assert_int_equal(in->span, PAGES);
    assert_int_equal(in->written, 9);
    assert_int_equal(in->intervals, 3);
    assert_int_equal(in->interval[0].runs, 3);
    assert_int_equal(in->run[1].first, 998); /* through the end of one block and the start of the next */
    assert_int_equal(in->run[1].count, 4);
    assert_int_equal(in->run[2].first, 1007);
    assert_int_equal(in->interval[1].pages, 0);
    assert_int_equal(in->interval[2].until_ns, 90 * NS_PER_MS);
    assert_int_equal(trace_bytes_per_sec(in), 409600);
    trace_free(in);
    dirty_clear_memory(&map);
}

static void an_interval_of_many_runs_is_one(void **state)
{
    const struct dirty_trace_block block = { "ram", 4 * DIRTY_TRACE_LINE_RUNS };
    struct dirty_trace *out = dirty_trace_create(path, "test", &block, 1, NULL);
    struct trace *in;

    assert_non_null(out);
    dirty_trace_until(out, NS_PER_SEC);
    for (uint64_t page = 0; page < block.pages; page += 2)
        dirty_trace_run(out, page, 1);
    assert_int_equal(dirty_trace_close(out, NULL, NULL), 0);
    in = must_read();
    assert_int_equal(in->intervals, 1);
    assert_int_equal(in->interval[0].runs, 2 * DIRTY_TRACE_LINE_RUNS);
    assert_int_equal(in->run[in->runs - 1].first, block.pages - 2);
    trace_free(in);
}

static void half_a_line_at_the_end_does_not_count(void **state)
{
    struct trace *in;

    put_text(HEAD "{\"until-us\": 5, \"pages\": [1, 2]}\n{\"until-us\": 9, \"pag");
    in = must_read();
    assert_int_equal(in->intervals, 1);
    trace_free(in);
}

static void hostile_files_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "without an interval" },
        { "\n", "no object" },
        { "[]\n", "no object" },
        { "{}\n", "does not begin as" },
        { "{\"ferry-dirty-trace\": 2, \"page-bytes\": 4096, \"pages\": 100}\n", "does not begin as" },
        { "{\"ferry-dirty-trace\": 1, \"page-bytes\": 1, \"pages\": 100}\n", "4096" },
        { "{\"ferry-dirty-trace\": 1, \"page-bytes\": 4096, \"pages\": 0}\n", "no pages" },
        { "{\"ferry-dirty-trace\": 1, \"page-bytes\": 4096, \"pages\": -1}\n", "no pages" },
        { "{\"ferry-dirty-trace\": 1, \"page-bytes\": 4096, \"pages\": 4294967296}\n", "no pages" },
        { HEAD, "without an interval" },
        { HEAD "{\"until-us\": 0, \"pages\": []}\n", "backwards" },
        { HEAD "{\"until-us\": -5, \"pages\": []}\n", "backwards" },
        { HEAD "{\"until-us\": \"5\", \"pages\": []}\n", "backwards" },
        { HEAD "{\"until-us\": 9223372036854775807, \"pages\": []}\n", "a week" },
        { HEAD "{\"until-us\": 5, \"pages\": []}\n{\"until-us\": 4, \"pages\": []}\n", "line 3: time goes backwards" },
        { HEAD "{\"until-us\": 5}\n", "pairs" },
        { HEAD "{\"until-us\": 5, \"pages\": [1]}\n", "pairs" },
        { HEAD "{\"until-us\": 5, \"pages\": [1, 0]}\n", "outside" },
        { HEAD "{\"until-us\": 5, \"pages\": [-1, 1]}\n", "outside" },
        { HEAD "{\"until-us\": 5, \"pages\": [100, 1]}\n", "outside" },
        { HEAD "{\"until-us\": 5, \"pages\": [99, 2]}\n", "outside" },
        { HEAD "{\"until-us\": 5, \"pages\": [1, 9223372036854775807]}\n", "outside" },
        { HEAD "{\"until-us\": 5, \"pages\": [1.5, 1]}\n", "outside" },
        { HEAD "{\"until-us\": 5, \"pages\": [5, 2, 6, 1]}\n", "ascend" },
        { HEAD "{\"until-us\": 5, \"pages\": [5, 2]}\n{\"until-us\": 5, \"pages\": [6, 1]}\n", "ascend" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ferry_error err = { 0 };

        put_text(cases[i].text);
        if (trace_read(path, &err) || !strstr(err.text, cases[i].why) || !strstr(err.text, path))
            fail_msg("%s: '%s', not '%s'", cases[i].text, err.text, cases[i].why);
    }
    assert_null(trace_read("/dev/zero", NULL));
    assert_null(trace_read("/nowhere/at/all", NULL));
}

/* Every byte of a good file turned: refused, or a trace within its bounds. */
static void turned_bits_do_no_harm(void **state)
{
    static const char good[] =
        HEAD "{\"until-us\": 5, \"pages\": [1, 2, 17, 1]}\n{\"until-us\": 9, \"pages\": [99, 1]}\n";
    char text[sizeof(good)];

    for (size_t bit = 0; bit < 8 * (sizeof(good) - 1); bit++) {
        struct trace *trace;

        memcpy(text, good, sizeof(good));
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        put_text(text);
        trace = trace_read(path, NULL);
        for (size_t i = 0; trace && i < trace->runs; i++)
            assert_true((uint64_t)trace->run[i].first + trace->run[i].count <= trace->pages);
        trace_free(trace);
    }
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

static uint64_t count_due(struct replay *replay)
{
    uint64_t page, count = 0;

    while (replay_next(replay, &page))
        count++;
    return count;
}

static void pages_are_spread_over_their_interval(void **state)
{
    struct replay replay;
    struct trace *trace;

    put_text(HEAD "{\"until-us\": 8000, \"pages\": [10, 4]}\n{\"until-us\": 10000, \"pages\": []}\n");
    trace = must_read();
    replay_start(&replay, trace);
    replay_go(&replay, 0);
    assert_int_equal(count_due(&replay), 1);
    replay_advance(&replay, 3 * NS_PER_MS, 0);
    assert_int_equal(count_due(&replay), 1);
    assert_int_equal(replay_next_ns(&replay, 3 * NS_PER_MS), 4 * NS_PER_MS);
    replay_advance(&replay, 9 * NS_PER_MS, 0);
    assert_int_equal(count_due(&replay), 2);
    replay_advance(&replay, 10 * NS_PER_MS, 0); /* from the front again */
    assert_int_equal(count_due(&replay), 1);
    replay_advance(&replay, 10 * NS_PER_SEC, 0); /* held up: no more than 10 ms of it, one lap */
    assert_int_equal(count_due(&replay), 4);
    replay_advance(&replay, 10 * NS_PER_SEC + 8 * NS_PER_MS, 50); /* throttled to half of the 8 ms */
    assert_int_equal(count_due(&replay), 2);
    replay_go(&replay, 20 * NS_PER_SEC); /* stood still */
    replay_advance(&replay, 20 * NS_PER_SEC, 0);
    assert_int_equal(count_due(&replay), 0);
    trace_free(trace);
}

/* ---- recorded, replayed, recorded again ----------------------------------------------------------------------------
 */

/* Some pages in most intervals, and many in one. */
static void make_trace(void)
{
    struct dirty_trace *out = record("made up");

    for (unsigned i = 1; i <= INTERVALS; i++) {
        dirty_trace_until(out, i * EACH_NS);
        for (uint64_t page = i % 5 ? i : PAGES; page < PAGES; page += 1 + content_hash(page * INTERVALS + i) % (17 * i))
            dirty_trace_run(out, page, 1);
    }
    assert_int_equal(dirty_trace_close(out, NULL, NULL), 0);
}

struct machine {
    uint8_t *ram;
    uint64_t writes[PAGES / REGION_PAGES];
    uint32_t own[PAGES];
    struct regions *regions;
    struct ram_map map;
};

static void machine_open(struct machine *machine)
{
    struct guest_spec spec;
    struct ferry_block info = { .name = "ram",
                                .length = (size_t)PAGES * FERRY_PAGE_BYTES,
                                .page_size = FERRY_PAGE_BYTES,
                                .flags = FERRY_BLOCK_PRIVATE };

    memset(machine, 0, sizeof(*machine));
    assert_int_equal(spec_parse("size=8MiB", &spec, NULL), 0);
    machine->ram = mmap(NULL, info.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(machine->ram, MAP_FAILED);
    (void)madvise(machine->ram, info.length, MADV_NOHUGEPAGE);
    machine->regions = regions_new(&spec, machine->ram, machine->writes, true, NULL);
    assert_non_null(machine->regions);
    machine->regions->own = machine->own;
    regions_fill(machine->regions);
    ram_map_init(&machine->map);
    info.host = machine->ram;
    assert_int_equal(ram_map_add(&machine->map, &info, NULL), 0);
}

static void machine_close(struct machine *machine)
{
    regions_free(machine->regions);
    ram_map_clear(&machine->map);
    munmap(machine->ram, (size_t)PAGES * FERRY_PAGE_BYTES);
}

/* Replay to @until_ns, on a clock of our own. */
static void replay_until(struct replay *replay, struct machine *machine, int64_t *now_ns, int64_t until_ns)
{
    uint64_t page;

    while (*now_ns < until_ns) {
        *now_ns = *now_ns + NS_PER_MS < until_ns ? *now_ns + NS_PER_MS : until_ns;
        replay_advance(replay, *now_ns, 0);
        while (replay_next(replay, &page))
            regions_write_page(machine->regions, page);
    }
}

static void record_replay(struct machine *machine, const struct trace *trace)
{
    struct tracker_set *trackers = tracker_set_new(&machine->map, NULL, 0, NULL);
    const struct dirty_trace_block block = { "ram", PAGES };
    struct dirty_trace *out = dirty_trace_create(path, "test", &block, 1, NULL);
    struct replay replay;
    int64_t now_ns = 0;

    assert_non_null(trackers);
    assert_non_null(out);
    replay_start(&replay, trace);
    replay_go(&replay, 0);
    for (unsigned i = 1; i <= INTERVALS; i++) {
        struct dirty_map written;
        uint64_t changed;

        replay_until(&replay, machine, &now_ns, i * EACH_NS - 1);
        assert_int_equal(dirty_init(&written, PAGES), 0);
        assert_int_equal(tracker_set_sync(trackers, machine->map.blocks[0], &written, &changed, NULL), 0);
        dirty_trace_until(out, i * EACH_NS);
        dirty_trace_map(out, 0, &written);
        dirty_clear_memory(&written);
    }
    assert_int_equal(dirty_trace_close(out, NULL, NULL), 0);
    tracker_set_free(trackers);
}

static void recorded_replayed_and_recorded_again_it_is_the_same(void **state)
{
    struct machine machine;
    struct trace *before, *after;

    make_trace();
    before = must_read();
    machine_open(&machine);
    record_replay(&machine, before);
    after = must_read();
    assert_int_equal(before->intervals, INTERVALS);
    assert_int_equal(after->intervals, INTERVALS);
    for (size_t i = 0; i < INTERVALS; i++) {
        const struct trace_interval *a = &before->interval[i], *b = &after->interval[i];

        assert_int_equal(a->until_ns, b->until_ns);
        assert_int_equal(a->pages, b->pages);
        assert_int_equal(a->runs, b->runs);
        assert_memory_equal(&before->run[a->run], &after->run[b->run], a->runs * sizeof(struct trace_run));
    }
    assert_true(before->written > PAGES / 4);
    regions_check(machine.regions);
    assert_int_equal(machine.regions->findings.mismatched + machine.regions->findings.lost_writes, 0);
    trace_free(before);
    trace_free(after);
    machine_close(&machine);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_interval_of_many_runs_is_one),
        cmocka_unit_test(half_a_line_at_the_end_does_not_count),
        cmocka_unit_test(hostile_files_are_refused),
        cmocka_unit_test(turned_bits_do_no_harm),
        cmocka_unit_test(pages_are_spread_over_their_interval),
        cmocka_unit_test(recorded_replayed_and_recorded_again_it_is_the_same),
    };
    struct ferry_error err = { 0 };
    struct tracker tracker;
    int fd = mkstemp(path), ret;

    if (fd < 0)
        return 1;
    close(fd);
    if (tracker_uffd_sync_new(&tracker, &err) < 0) {
        printf("SKIP: needs userfaultfd: %s\n", err.text);
        unlink(path);
        return 77;
    }
    tracker_uffd_sync_free(&tracker);
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return ret;
}
