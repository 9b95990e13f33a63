/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_pattern_test.c - the guest that arrives is the one that left, and whatever is not is found */
#include "bytes.h"
#include "clock.h"
#include "device.h"
#include "guest.h"
#include "guest_parts.h"

#include <errno.h>
#include <ferry/channel.h>
#include <ferry/stream.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STATE_ROOM 4096

struct state_bytes {
    size_t count;
    uint8_t data[STATE_ROOM];
};

/* Where things are in the bytes of the device state. */
enum {
    AT_SIZE = 0,
    AT_UNTOUCHED = 8,
    AT_THREADS = 40,
    AT_PATTERN = 44,
    AT_LAST_NS = 63,
    AT_BOOT = 79,
    AT_REGION_COUNT = 87,
    AT_WRITES = 91,
};

static struct bench_guest *source_of(const char *text)
{
    struct ferry_error err = { 0 };
    struct bench_guest *guest = bench_guest_new(text, &err);

    if (!guest)
        fail_msg("%s: %s", text, ferry_error_text(&err));
    return guest;
}

static struct device *device_of(struct bench_guest *guest)
{
    struct device *device = device_find(bench_guest_ferry(guest)->devices, "pattern", 0);

    assert_non_null(device);
    return device;
}

/* Run until @pages more were written, then stand still. */
static void run(struct bench_guest *guest, uint64_t pages)
{
    struct bench_figures figures;

    bench_guest_figures(guest, &figures);
    pages += figures.pages_written;
    assert_int_equal(bench_guest_start(guest, NULL), 0);
    do {
        sched_yield();
        bench_guest_figures(guest, &figures);
    } while (figures.pages_written < pages);
    assert_int_equal(bench_guest_stop(guest, NULL), 0);
}

static void carry_memory(struct bench_guest *from, struct bench_guest *to)
{
    const struct ferry_guest *ferry = bench_guest_ferry(from);

    for (unsigned i = 0; i < ferry_guest_blocks(ferry); i++) {
        const struct ferry_block *block = ferry_guest_block(ferry, i);
        struct ram_block *there;
        struct ferry_error err = { 0 };

        if (guest_announced_block(bench_guest_ferry(to), block->name, block->length, &there, &err) < 0)
            fail_msg("%s", ferry_error_text(&err));
        assert_int_equal((uintptr_t)there->host % (2 << 20), 0);
        assert_int_equal(there->info.flags, FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH);
        if (!strcmp(block->name, "pattern.ram"))
            memcpy(there->host, block->host, block->length);
    }
}

static void save_state(struct bench_guest *from, struct state_bytes *to)
{
    struct ferry_channel *channel = ferry_channel_buffer_writer(STATE_ROOM, NULL);
    struct ferry_writer *writer = ferry_writer_new(channel, NULL);
    const struct device *device = device_of(from);
    const void *data;

    assert_non_null(writer);
    assert_int_equal(state_save(writer, device->desc, device->opaque, NULL, NULL, NULL), 0);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    data = ferry_channel_buffer_data(channel, &to->count);
    memcpy(to->data, data, to->count);
    ferry_writer_free(writer);
    ferry_channel_unref(channel);
}

static int load_state(struct bench_guest *to, const struct state_bytes *from, struct ferry_error *err)
{
    struct ferry_channel *channel = ferry_channel_buffer_reader(from->data, from->count, NULL);
    struct ferry_reader *reader = ferry_reader_new(channel, NULL);
    const struct device *device = device_of(to);
    struct state_staged *staged = state_parse(device->desc, device->opaque, 1, reader, err);
    int ret = staged ? state_commit(staged, err) : -EPROTO;

    state_staged_free(staged);
    ferry_reader_free(reader);
    ferry_channel_unref(channel);
    return ret;
}

/* A guest that has run at the source and stands still at both ends. */
struct journey {
    struct bench_guest *source, *destination;
    struct state_bytes state;
    uint8_t *ram; /* the destination's */
};

static void journey_begin(struct journey *journey, const char *text, uint64_t pages)
{
    journey->source = source_of(text);
    run(journey->source, pages);
    journey->destination = bench_guest_incoming("pattern", NULL);
    assert_non_null(journey->destination);
    carry_memory(journey->source, journey->destination);
    save_state(journey->source, &journey->state);
    journey->ram = ferry_guest_block(bench_guest_ferry(journey->destination), 0)->host;
}

static void journey_load(struct journey *journey)
{
    struct ferry_error err = { 0 };

    if (load_state(journey->destination, &journey->state, &err) < 0)
        fail_msg("%s", ferry_error_text(&err));
}

static struct bench_verify journey_end(struct journey *journey, uint64_t run_on_ns)
{
    struct bench_verify verify = { 0 };

    assert_int_equal(bench_guest_start(journey->destination, NULL), 0);
    assert_int_equal(bench_guest_verify(journey->destination, run_on_ns, &verify, NULL), 0);
    bench_guest_free(journey->source);
    bench_guest_free(journey->destination);
    return verify;
}

static void expect(const struct bench_verify *verify, uint64_t mismatched, uint64_t lost, const char *first)
{
    if (verify->mismatched != mismatched || verify->lost_writes != lost || !strstr(verify->first, first))
        fail_msg("%d mismatched, %d lost: '%s'", (int)verify->mismatched, (int)verify->lost_writes, verify->first);
}

static void a_guest_arrives_whole_and_runs_on(void **state)
{
    static const char *const texts[] = {
        "pattern:size=4MiB,dirty=unlimited,threads=2,zero=30%",
        "pattern:size=4100KiB,dirty=unlimited,content=text,hot=50%,huge=off",
        "pattern:size=2MiB,dirty=200MiB/s,content=mixed,pattern=sequential,untouched=1GiB",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct journey journey;
        struct bench_figures left, arrived;
        struct bench_verify verify;

        journey_begin(&journey, texts[i], 300);
        journey_load(&journey);
        bench_guest_figures(journey.source, &left);
        bench_guest_figures(journey.destination, &arrived);
        assert_int_equal(arrived.ram_bytes, left.ram_bytes);
        assert_int_equal(arrived.beats, left.beats);
        assert_int_equal(arrived.pages_written, 0);
        assert_int_equal(arrived.blackout_ns, -1);
        run(journey.destination, 50);
        bench_guest_figures(journey.destination, &arrived);
        assert_true(arrived.beats > left.beats);
        assert_true(arrived.blackout_ns > 0);
        assert_true(arrived.dirty_bytes_per_sec > 0);
        assert_false(arrived.blackout_by_wall_clock);
        verify = journey_end(&journey, NS_PER_MS);
        expect(&verify, 0, 0, "");
        assert_int_equal(verify.pages, left.ram_bytes / FERRY_PAGE_BYTES);
    }
}

static void an_idle_guest_has_a_heart(void **state)
{
    struct bench_guest *guest = source_of("pattern:size=1MiB");
    struct bench_figures before, after;

    bench_guest_figures(guest, &before);
    assert_int_equal(before.beats, 0);
    assert_int_equal(bench_guest_start(guest, NULL), 0);
    bench_guest_figures(guest, &before);
    assert_true(before.beats >= 1); /* the first one comes with the start */
    do
        bench_guest_figures(guest, &after);
    while (after.beats < before.beats + 5);
    assert_true(after.largest_gap_ns > 0);
    assert_int_equal(bench_guest_start(guest, NULL), 0);
    assert_int_equal(bench_guest_stop(guest, NULL), 0);
    assert_int_equal(bench_guest_stop(guest, NULL), 0);
    bench_guest_figures(guest, &before);
    for (int i = 0; i < 100; i++)
        sched_yield();
    bench_guest_figures(guest, &after);
    assert_int_equal(after.beats, before.beats);
    assert_int_equal(after.blackout_ns, -1);
    bench_guest_free(guest);
}

static void no_page_changes_after_a_stop(void **state)
{
    struct bench_guest *guest = source_of("pattern:size=4MiB,dirty=unlimited,threads=2");
    const struct ferry_block *block = ferry_guest_block(bench_guest_ferry(guest), 0);
    uint8_t *copy = malloc(block->length);

    assert_non_null(copy);
    for (int round = 0; round < 5; round++) {
        struct state_bytes before, after;

        run(guest, 200);
        memcpy(copy, block->host, block->length);
        save_state(guest, &before);
        for (int i = 0; i < 50; i++)
            sched_yield();
        assert_memory_equal(copy, block->host, block->length);
        save_state(guest, &after);
        assert_memory_equal(before.data, after.data, AT_LAST_NS);
        assert_memory_equal(before.data + AT_WRITES, after.data + AT_WRITES, before.count - AT_WRITES);
    }
    free(copy);
    bench_guest_free(guest);
}

static void a_changed_bit_is_found(void **state)
{
    struct journey journey;
    struct bench_verify verify;

    journey_begin(&journey, "pattern:size=4MiB,dirty=unlimited", 300);
    journey.ram[5 * FERRY_PAGE_BYTES + 1234] ^= 0x10;
    journey_load(&journey);
    verify = journey_end(&journey, NS_PER_MS); /* the writers were there all the time */
    expect(&verify, 1, 0, "pattern.ram: page 5 should hold generation ");
}

static void a_stale_page_is_found(void **state)
{
    struct journey journey;
    struct bench_verify verify;

    /* More writes than pages: each has at least one to lose. */
    journey_begin(&journey, "pattern:size=1MiB,dirty=unlimited", 300);
    run(journey.source, 300);
    save_state(journey.source, &journey.state); /* the memory that was carried is older than this */
    journey_load(&journey);
    verify = journey_end(&journey, 0);
    expect(&verify, 0, 256, ", holds generation ");
}

static void a_zeroed_page_is_found(void **state)
{
    struct journey journey;
    struct bench_verify verify;

    journey_begin(&journey, "pattern:size=1MiB,dirty=100MiB/s", 30);
    memset(journey.ram + 17 * FERRY_PAGE_BYTES, 0, FERRY_PAGE_BYTES);
    journey_load(&journey);
    verify = journey_end(&journey, 0);
    expect(&verify, 1, 0, "pattern.ram: page 17 should hold generation ");
    assert_non_null(strstr(verify.first, ", is all zero"));
}

static void a_missing_write_is_found(void **state)
{
    struct journey journey;
    struct bench_verify verify;
    uint8_t *writes = journey.state.data + AT_WRITES;

    journey_begin(&journey, "pattern:size=1MiB,dirty=100MiB/s", 30);
    assert_int_equal(journey.state.count, AT_WRITES + 8);
    store_be64(writes, load_be64(writes) + 1);
    journey_load(&journey);
    verify = journey_end(&journey, 0);
    expect(&verify, 0, 1, ", holds generation ");
}

static void something_in_untouched_memory_is_found(void **state)
{
    struct journey journey;
    struct bench_verify verify;
    uint8_t *untouched;

    journey_begin(&journey, "pattern:size=1MiB,untouched=64MiB", 0);
    untouched = ferry_guest_block(bench_guest_ferry(journey.destination), 1)->host;
    untouched[7 * FERRY_PAGE_BYTES] = 0; /* touched, but zero */
    untouched[9 * FERRY_PAGE_BYTES + 5] = 1;
    journey_load(&journey);
    verify = journey_end(&journey, 0);
    expect(&verify, 1, 0, "pattern.untouched: page 9 should be zero");
}

static void a_guest_without_state_does_not_run(void **state)
{
    struct bench_guest *guest = bench_guest_incoming("pattern", NULL);
    struct bench_verify verify;
    struct ferry_error err = { 0 };

    assert_non_null(guest);
    assert_int_equal(bench_guest_start(guest, &err), -EPROTO);
    assert_int_equal(bench_guest_stop(guest, NULL), 0);
    assert_int_equal(bench_guest_verify(guest, 0, &verify, &err), -EPROTO);
    bench_guest_free(guest);
}

static void strange_blocks_are_refused(void **state)
{
    struct bench_guest *guest = bench_guest_incoming("pattern", NULL);
    struct ferry_guest *ferry = bench_guest_ferry(guest);
    struct ram_block *block;

    assert_true(guest_announced_block(ferry, "pc.ram", 1 << 20, &block, NULL) < 0);
    assert_true(guest_announced_block(ferry, "pattern.ram", 0, &block, NULL) < 0);
    assert_true(guest_announced_block(ferry, "pattern.ram", 5000, &block, NULL) < 0);
    assert_true(guest_announced_block(ferry, "pattern.ram", UINT64_C(1) << 62, &block, NULL) < 0);
    assert_true(guest_announced_block(ferry, "pattern.untouched", UINT64_C(33) << 40, &block, NULL) < 0);
    assert_int_equal(guest_announced_block(ferry, "pattern.ram", 1 << 20, &block, NULL), 0);
    assert_true(guest_announced_block(ferry, "pattern.ram", 2 << 20, &block, NULL) < 0);
    bench_guest_free(guest);
}

static void a_state_that_does_not_fit_is_refused(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *why;
    } cases[] = {
        { AT_SIZE + 5, 1, "pattern.ram" },
        { AT_UNTOUCHED + 5, 1, "pattern.untouched" },
        { AT_THREADS, 1, "threads" },
        { AT_PATTERN, 9, "pattern: 9" },
        { AT_LAST_NS, 0x80, "heartbeat" },
        { AT_REGION_COUNT, 0xff, "a region for each megabyte" },
        { AT_REGION_COUNT + 3, 5, "a region for each megabyte" },
    };
    struct journey journey;
    struct bench_verify verify;

    journey_begin(&journey, "pattern:size=2MiB,dirty=unlimited", 30);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct state_bytes bad = journey.state;
        struct ferry_error err = { 0 };

        bad.data[cases[i].at] = cases[i].value;
        assert_true(load_state(journey.destination, &bad, &err) < 0);
        if (!strstr(err.text, cases[i].why))
            fail_msg("'%s', not '%s'", err.text, cases[i].why);
        assert_true(bench_guest_start(journey.destination, NULL) < 0);
    }
    journey_load(&journey);
    assert_true(load_state(journey.destination, &journey.state, NULL) < 0); /* once is enough */
    verify = journey_end(&journey, 0);
    expect(&verify, 0, 0, "");
}

/* Whatever the bytes say: refused, or loaded and then checked. */
static void any_changed_byte_is_survived(void **state)
{
    struct bench_guest *source = source_of("pattern:size=64KiB");
    struct state_bytes good;

    save_state(source, &good);
    for (size_t at = 0; at < good.count; at++) {
        struct bench_guest *guest = bench_guest_incoming("pattern", NULL);
        struct state_bytes bad = good;
        struct bench_verify verify = { 0 };

        bad.data[at] ^= 0x82;
        carry_memory(source, guest);
        if (load_state(guest, &bad, NULL) == 0) {
            assert_int_equal(bench_guest_start(guest, NULL), 0);
            assert_int_equal(bench_guest_verify(guest, 0, &verify, NULL), 0);
            assert_int_equal(verify.pages, 16);
        }
        bench_guest_free(guest);
    }
    bench_guest_free(source);
}

static void another_kernels_blackout_goes_by_the_wall_clock(void **state)
{
    struct journey journey;
    struct bench_figures figures;
    struct bench_verify verify;

    journey_begin(&journey, "pattern:size=64KiB", 0);
    journey.state.data[AT_BOOT] ^= 1;
    journey_load(&journey);
    assert_int_equal(bench_guest_start(journey.destination, NULL), 0);
    bench_guest_figures(journey.destination, &figures);
    assert_true(figures.blackout_by_wall_clock);
    assert_true(figures.blackout_ns >= 0);
    verify = journey_end(&journey, 0);
    expect(&verify, 0, 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_arrives_whole_and_runs_on),
        cmocka_unit_test(an_idle_guest_has_a_heart),
        cmocka_unit_test(no_page_changes_after_a_stop),
        cmocka_unit_test(a_changed_bit_is_found),
        cmocka_unit_test(a_stale_page_is_found),
        cmocka_unit_test(a_zeroed_page_is_found),
        cmocka_unit_test(a_missing_write_is_found),
        cmocka_unit_test(something_in_untouched_memory_is_found),
        cmocka_unit_test(a_guest_without_state_does_not_run),
        cmocka_unit_test(strange_blocks_are_refused),
        cmocka_unit_test(a_state_that_does_not_fit_is_refused),
        cmocka_unit_test(any_changed_byte_is_survived),
        cmocka_unit_test(another_kernels_blackout_goes_by_the_wall_clock),
    };

    return cmocka_run_group_tests_name("guest_pattern", tests, NULL, NULL);
}
