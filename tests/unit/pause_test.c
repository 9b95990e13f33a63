/* SPDX-License-Identifier: BSD-3-Clause */
/* pause_test.c - a guest that was stopped waits for a word before it goes: the word, a cancel, a destination that is
 * lost, each in both dialects */
#include "iterative_fixture.h"
#include "userfault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct machine here, there;
static char heard[256];

static int hear(void *opaque, const struct ferry_notice *notice, struct ferry_error *err)
{
    size_t used = strlen(heard);

    snprintf(heard + used, sizeof(heard) - used, "%s%s/%u ", notice->guest == FERRY_GUEST_RUNNING ? "+" : "-",
             ferry_migration_state_name(notice->migration), notice->device);
    return 0;
}

static enum ferry_phase phase_of(struct ferry_session *session)
{
    struct ferry_stats stats;

    ferry_session_stats(session, &stats);
    return stats.phase;
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Until it pauses, and everybody has been told. */
static void begin(struct move *move, const char *peer)
{
    struct ferry_options *options = ferry_options_new();

    machine_open(&here);
    machine_open(&there);
    heard[0] = '\0';
    assert_int_equal(ferry_guest_add_notifier(here.guest, hear, NULL, NULL), 0);
    assert_int_equal(machine_start(&here, NULL), 0);
    here.starts = 0;
    assert_int_equal(ferry_options_set(options, "pause-before-switchover", "on", NULL), 0);
    assert_int_equal(ferry_options_set(options, "peer", peer, NULL), 0);
    move_begin(move, &here, &there, options);
    ferry_options_free(options);
    while (phase_of(move->source) != FERRY_PHASE_PRE_SWITCHOVER)
        nap();
}

static void end(struct move *move)
{
    move_free(move);
    machine_close(&here);
    machine_close(&there);
}

static const char *const peers[] = { "ferry", "qemu" };

#define PAUSED "+none/1 +setup/1 +active/3 +pre-switchover/3 -pre-switchover/3 "

static void the_guest_goes_when_the_word_comes(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct ferry_stats stats;
        struct move move;

        begin(&move, peers[i]);
        assert_int_equal(here.stops, 1);
        for (int j = 0; j < 20; j++)
            nap();
        assert_int_equal(phase_of(move.source), FERRY_PHASE_PRE_SWITCHOVER);
        assert_int_equal(here.starts, 0);
        memset(here.memory, 0x5a, 2 * FERRY_PAGE_BYTES); /* a device may still write */
        assert_int_equal(ferry_session_continue(move.source, NULL), 0);
        move_end(&move);
        assert_int_equal(move.here.errnum, 0);
        assert_int_equal(move.there.errnum, 0);
        assert_string_equal(heard, PAUSED "-device/2 -completed/0 ");
        assert_memory_equal(here.memory, there.memory, MACHINE_BYTES);
        ferry_session_stats(move.source, &stats);
        assert_true(stats.downtime.paused_ns >= 20000000 && stats.downtime.paused_ns <= stats.time.downtime_ns);
        assert_int_equal(ferry_session_continue(move.source, NULL), -EINVAL);
        end(&move);
    }
}

static void a_cancel_lets_it_go_on_here(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct move move;

        begin(&move, peers[i]);
        ferry_session_cancel(move.source);
        move_end(&move);
        assert_int_equal(phase_of(move.source), FERRY_PHASE_CANCELLED);
        assert_string_equal(heard, PAUSED "+failed/1 +none/1 ");
        assert_int_equal(here.starts, 1);
        assert_int_equal(there.starts, 0);
        end(&move);
    }
}

static void a_destination_that_is_lost_ends_it(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct move move;

        begin(&move, peers[i]);
        ferry_session_cancel(move.destination);
        move_end(&move);
        assert_int_equal(phase_of(move.source), FERRY_PHASE_FAILED);
        assert_int_equal(here.starts, 1);
        assert_int_equal(there.starts, 0);
        end(&move);
    }
}

/* Its memory follows: the pause is before it leaves, too. */
static void postcopy_pauses_as_well(void **state)
{
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    struct ferry_options *options = ferry_options_new();
    struct move move;

    if (fd < 0)
        skip();
    close(fd);
    machine_open(&here);
    machine_open(&there);
    for (int i = 0; i < 2; i++)
        here.toy[i].postcopy = true;
    heard[0] = '\0';
    assert_int_equal(ferry_guest_add_notifier(here.guest, hear, NULL, NULL), 0);
    memset(here.memory, 0x33, MACHINE_BYTES);
    assert_int_equal(machine_start(&here, NULL), 0);
    assert_int_equal(ferry_options_set(options, "pause-before-switchover", "on", NULL), 0);
    assert_int_equal(ferry_options_set(options, "postcopy", "now", NULL), 0);
    assert_int_equal(ferry_options_set(options, "channels", "0", NULL), 0);
    move_begin(&move, &here, &there, options);
    ferry_options_free(options);
    while (phase_of(move.source) != FERRY_PHASE_PRE_SWITCHOVER)
        nap();
    assert_int_equal(there.starts, 0);
    assert_int_equal(ferry_session_continue(move.source, NULL), 0);
    move_end(&move);
    if (move.here.errnum)
        fail_msg("%s", move.here.text);
    assert_string_equal(heard, PAUSED "-device/2 -completed/0 ");
    assert_memory_equal(here.memory, there.memory, MACHINE_BYTES);
    assert_int_equal(there.starts, 1);
    end(&move);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_goes_when_the_word_comes),
        cmocka_unit_test(a_cancel_lets_it_go_on_here),
        cmocka_unit_test(a_destination_that_is_lost_ends_it),
        cmocka_unit_test(postcopy_pauses_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
