/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_migrate_test.c - machines with busy iterative devices cross whole; failures leave them at the source */
#include "iterative_fixture.h"
#include "userfault.h"

#include <ferry/capabilities.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HUNG_MS 60000

static struct machine here, there;

static void open_both(void)
{
    machine_open(&here);
    machine_open(&there);
    here.toy[0].every = 1;
    here.toy[1].every = 16;
    for (int i = 0; i < 2; i++)
        memset(there.toy[i].rows, 0, sizeof(there.toy[i].rows));
    assert_int_equal(machine_start(&here, NULL), 0);
}

static void close_both(struct move *move)
{
    move_free(move);
    machine_close(&here);
    machine_close(&there);
}

static struct ferry_options *options_with(const char *name, const char *value)
{
    struct ferry_options *options = ferry_options_new();

    assert_non_null(options);
    assert_int_equal(ferry_options_set(options, name, value, NULL), 0);
    return options;
}

/* In both dialects: the sections are plain ones. */
static void busy_devices_cross_whole(void **state)
{
    static const char *const peers[] = { "ferry", "qemu" };

    for (size_t i = 0; i < 2; i++) {
        struct ferry_options *options = options_with("peer", peers[i]);
        struct ferry_stats sent, got;
        struct move move;

        open_both();
        move_begin(&move, &here, &there, options);
        move_end(&move);
        if (move.here.errnum || move.there.errnum)
            fail_msg("%s: %s; %s", peers[i], move.here.text, move.there.text);
        assert_true(there.started && !here.started);
        for (int t = 0; t < 2; t++) {
            assert_memory_equal(here.toy[t].rows, there.toy[t].rows, sizeof(here.toy[t].rows));
            assert_non_null(strstr(here.toy[t].log, "si"));
            assert_non_null(strstr(here.toy[t].log, "c."));
            assert_int_equal(there.toy[t].log[0], 'S');
        }
        ferry_session_stats(move.source, &sent);
        ferry_session_stats(move.destination, &got);
        assert_true(sent.wire.iterative_bytes > 2 * TOY_ROWS * TOY_ROW);
        assert_int_equal(sent.wire.iterative_bytes, got.wire.iterative_bytes);
        assert_true(sent.wire.bytes > sent.wire.iterative_bytes);
        assert_true(sent.wire.device_bytes < TOY_ROW);
        close_both(&move);
        ferry_options_free(options);
    }
}

/* The channel is so slow that the fast device never gets done: it is cancelled in the middle, and goes on here. */
static void a_cancel_while_devices_are_sent(void **state)
{
    struct ferry_options *options = options_with("max-bandwidth", "2MiB/s");
    struct ferry_stats stats;
    struct move move;

    assert_int_equal(ferry_options_set(options, "downtime-limit", "1ms", NULL), 0);
    open_both();
    move_begin(&move, &here, &there, options);
    do {
        assert_int_equal(ferry_session_wait(move.source, 1, NULL), -ETIMEDOUT);
        ferry_session_stats(move.source, &stats);
    } while (stats.wire.iterative_bytes < 300000);
    ferry_session_cancel(move.source);
    move_end(&move);
    assert_int_equal(move.here.errnum, -ECANCELED);
    assert_true(move.there.errnum < 0);
    assert_true(here.started && here.stops == 0 && there.starts == 0);
    for (int t = 0; t < 2; t++) {
        assert_int_equal(here.toy[t].log[strlen(here.toy[t].log) - 1], '.');
        assert_null(strchr(here.toy[t].log, 'c'));
        assert_int_equal(there.toy[t].log[strlen(there.toy[t].log) - 1], '!');
    }
    close_both(&move);
    ferry_options_free(options);
}

/* What devices have left counts: with a limit that they alone exceed, the source does not switch, and says why not. */
static void pending_of_devices_keeps_the_source_from_switching(void **state)
{
    /* Slow, so that in every round the devices' thread surely runs. */
    struct ferry_options *options = options_with("max-bandwidth", "1MiB/s");
    struct move move;

    assert_int_equal(ferry_options_set(options, "downtime-limit", "1ms", NULL), 0);
    assert_int_equal(ferry_options_set(options, "give-up-after", "2", NULL), 0);
    open_both();
    move_begin(&move, &here, &there, options);
    move_end(&move);
    assert_int_equal(move.here.errnum, -ETIME);
    assert_true(here.started && here.stops == 0);
    close_both(&move);
    ferry_options_free(options);
}

static void a_failing_device_leaves_the_guest_at_the_source(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct toy *toy = &(i == 3 ? &there : &here)->toy[1];
        struct move move;

        open_both();
        *(i == 0   ? &toy->fail_setup
          : i == 1 ? &toy->fail_iterate
          : i == 2 ? &toy->fail_complete
                   : &toy->fail_load) = -EIO;
        move_begin(&move, &here, &there, NULL);
        move_end(&move);
        assert_true(move.here.errnum < 0 && move.there.errnum < 0);
        assert_non_null(strstr(i == 3 ? move.there.text : move.here.text, "'slow' 0: the toy"));
        assert_true(here.started && there.starts == 0);
        assert_int_equal(here.starts, here.stops + 1);
        close_both(&move);
    }
}

/* The fast device needs more rows than memory's end brings: the source waits for the word that they are there. */
static void initial_data_holds_the_switch_back(void **state)
{
    for (int agreed = 0; agreed < 2; agreed++) {
        struct ferry_options *options = ferry_options_new();
        struct ferry_stats stats;
        struct move move;

        assert_int_equal(ferry_capabilities_set(options, "switchover-ack", agreed ? "on" : "off", NULL), 0);
        open_both();
        there.toy[0].ready_rows = agreed ? 8 * TOY_ROWS : UINT32_MAX;
        move_begin(&move, &here, &there, options);
        move_end(&move);
        if (move.here.errnum || move.there.errnum)
            fail_msg("%s; %s", move.here.text, move.there.text);
        if (agreed)
            assert_true(there.toy[0].loaded_rows >= 8 * TOY_ROWS);
        ferry_session_stats(move.source, &stats);
        assert_true(stats.ram.rounds >= (agreed ? 6 : 2));
        close_both(&move);
        ferry_options_free(options);
    }
}

/* ... also where it goes over before the first page, and nothing else is sent meanwhile. */
static void initial_data_holds_a_postcopy_back(void **state)
{
    struct ferry_options *options = options_with("postcopy", "now");
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    struct move move;

    if (fd < 0)
        skip();
    close(fd);
    assert_int_equal(ferry_capabilities_set(options, "switchover-ack", "on", NULL), 0);
    open_both();
    there.toy[0].ready_rows = TOY_ROWS;
    move_begin(&move, &here, &there, options);
    if (ferry_session_wait(move.source, HUNG_MS, &move.here) == -ETIMEDOUT)
        fail_msg("it waits for what it does not send");
    move_end(&move);
    if (move.here.errnum || move.there.errnum)
        fail_msg("%s; %s", move.here.text, move.there.text);
    assert_true(there.toy[0].loaded_rows >= TOY_ROWS);
    assert_true(there.started && !here.started);
    close_both(&move);
    ferry_options_free(options);
}

/* A destination that has gone is not waited for. */
static void a_destination_that_goes_while_devices_are_awaited(void **state)
{
    struct ferry_options *options = options_with("postcopy", "now");
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    struct move move;

    if (fd < 0)
        skip();
    close(fd);
    assert_int_equal(ferry_capabilities_set(options, "switchover-ack", "on", NULL), 0);
    open_both();
    there.toy[0].ready_rows = UINT32_MAX;
    move_begin(&move, &here, &there, options);
    assert_int_equal(ferry_session_wait(move.source, 100, NULL), -ETIMEDOUT);
    ferry_session_cancel(move.destination);
    if (ferry_session_wait(move.source, HUNG_MS, &move.here) == -ETIMEDOUT)
        fail_msg("it waits for a destination that is not there");
    move_end(&move);
    assert_true(move.here.errnum < 0 && here.started && there.starts == 0);
    close_both(&move);
    ferry_options_free(options);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_devices_cross_whole),
        cmocka_unit_test(a_cancel_while_devices_are_sent),
        cmocka_unit_test(pending_of_devices_keeps_the_source_from_switching),
        cmocka_unit_test(initial_data_holds_the_switch_back),
        cmocka_unit_test(initial_data_holds_a_postcopy_back),
        cmocka_unit_test(a_destination_that_goes_while_devices_are_awaited),
        cmocka_unit_test(a_failing_device_leaves_the_guest_at_the_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
