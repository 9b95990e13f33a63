/* SPDX-License-Identifier: BSD-3-Clause */
/* migrate_test.c - a guest that writes all the while crosses whole; cancels and failures leave it at the source */
#include "clock.h"

#include <ferry/session.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGES 2048
#define BYTES ((size_t)PAGES * FERRY_PAGE_BYTES)

/* A machine: memory, one counter as device state, and a CPU that writes the counter into page after page. */
struct machine {
    struct ferry_guest *guest;
    volatile unsigned *memory; /* the first word of each page is what the CPU writes */
    uint64_t steps;            /* device state; the CPU's own while it runs */
    atomic_bool running;
    bool started; /* there is a CPU thread to join */
    int starts, stops;
    pthread_t cpu;
};

#define WORDS_PER_PAGE (FERRY_PAGE_BYTES / sizeof(unsigned))

/* Guest memory is written while it is sent: that race is what a live migration is about. */
__attribute__((no_sanitize("thread"))) static void *cpu_run(void *opaque)
{
    struct machine *machine = opaque;

    while (atomic_load(&machine->running)) {
        size_t page = machine->steps * 7919 % PAGES;

        machine->memory[page * WORDS_PER_PAGE] = (unsigned)machine->steps;
        machine->steps++;
    }
    return NULL;
}

static int machine_start(void *opaque, struct ferry_error *err)
{
    struct machine *machine = opaque;

    machine->starts++;
    atomic_store(&machine->running, true);
    machine->started = pthread_create(&machine->cpu, NULL, cpu_run, machine) == 0;
    return machine->started ? 0 : ferry_error_set(err, -EAGAIN, "no thread");
}

static int machine_stop(void *opaque, struct ferry_error *err)
{
    struct machine *machine = opaque;

    machine->stops++;
    atomic_store(&machine->running, false);
    if (machine->started)
        pthread_join(machine->cpu, NULL);
    machine->started = false;
    return 0;
}

static const struct ferry_guest_ops machine_ops = { .stop = machine_stop, .start = machine_start };

static const struct ferry_field counter_fields[] = { FERRY_U64(steps, struct machine), FERRY_END };
static const struct ferry_state_desc counter_desc = {
    .name = "counter",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct machine),
    .fields = counter_fields,
};

static void machine_open(struct machine *machine, const char *type)
{
    struct ferry_block block = { .name = "ram", .length = BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE };

    memset(machine, 0, sizeof(*machine));
    block.host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    machine->memory = block.host;
    machine->guest = ferry_guest_new(type, &machine_ops, machine, NULL);
    assert_non_null(machine->guest);
    assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
    assert_int_equal(ferry_guest_add_device(machine->guest, &counter_desc, machine, NULL, FERRY_INSTANCE_NEXT, NULL),
                     0);
}

static void machine_close(struct machine *machine)
{
    if (machine->started)
        machine_stop(machine, NULL);
    ferry_guest_free(machine->guest);
    munmap((void *)machine->memory, BYTES);
}

/* What the CPU's steps so far must have left in memory. */
static void check_memory(const struct machine *machine)
{
    unsigned *expected = calloc(PAGES, sizeof(*expected));

    for (uint64_t step = 0; step < machine->steps; step++)
        expected[step * 7919 % PAGES] = (unsigned)step;
    for (size_t page = 0; page < PAGES; page++)
        if (machine->memory[page * WORDS_PER_PAGE] != expected[page])
            fail_msg("page %zu is stale", page);
    free(expected);
}

/* Options whose limit lets a test catch a migration in the middle. */
static struct ferry_options *slowly(const char *rate)
{
    struct ferry_options *options = ferry_options_new();

    assert_non_null(options);
    assert_int_equal(ferry_options_set(options, "max-bandwidth", rate, NULL), 0);
    assert_int_equal(ferry_options_set(options, "downtime-limit", "100ms", NULL), 0);
    return options;
}

static void wait_for_bytes(struct ferry_session *session, uint64_t bytes)
{
    struct ferry_stats stats;

    do {
        ferry_session_wait(session, 1, NULL);
        ferry_session_stats(session, &stats);
        assert_true(stats.phase < FERRY_PHASE_COMPLETED || stats.wire.bytes >= bytes);
    } while (stats.wire.bytes < bytes);
}

static void a_busy_guest_crosses_whole(void **state)
{
    struct machine here, there;
    struct ferry_channel *pair[2];
    struct ferry_session *source, *destination;
    struct ferry_error err = { 0 };
    struct ferry_stats stats;

    machine_open(&here, "test");
    machine_open(&there, "test");
    assert_int_equal(machine_start(&here, NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    destination = ferry_destination_start(there.guest, pair[1], NULL, NULL);
    source = ferry_source_start(here.guest, pair[0], NULL, NULL);
    assert_non_null(source);
    assert_non_null(destination);
    if (ferry_session_wait(source, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(destination, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(there.started);
    assert_false(here.started);
    machine_stop(&there, NULL);
    assert_true(there.steps >= here.steps);
    check_memory(&there);
    ferry_session_stats(source, &stats);
    assert_int_equal(stats.phase, FERRY_PHASE_COMPLETED);
    assert_true(stats.ram.normal_pages > 0 && stats.time.downtime_ns > 0 && stats.wire.device_bytes >= 8);
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    machine_close(&here);
    machine_close(&there);
}

/* Somebody who says nothing is in front of the source; the listener is the session's, and gone in the end. */
static void a_destination_that_listens_takes_its_source(void **state)
{
    struct ferry_listener *listener = ferry_listener_open("tcp:127.0.0.1:0", NULL);
    struct ferry_channel *silent, *chan;
    struct ferry_session *source, *destination;
    struct machine here, there;
    struct ferry_stats stats;
    char address[100];

    assert_non_null(listener);
    snprintf(address, sizeof(address), "%s", ferry_listener_address(listener));
    machine_open(&here, "test");
    machine_open(&there, "test");
    assert_int_equal(machine_start(&here, NULL), 0);
    destination = ferry_destination_listen(there.guest, listener, FERRY_NO_DEADLINE, NULL, NULL);
    assert_non_null(destination);
    silent = ferry_channel_connect(address, 0, NULL);
    chan = ferry_channel_connect(address, 0, NULL);
    assert_true(silent && chan);
    ferry_session_stats(destination, &stats);
    assert_int_equal(stats.phase, FERRY_PHASE_SETUP);
    source = ferry_source_start(here.guest, chan, NULL, NULL);
    assert_int_equal(ferry_session_wait(source, FERRY_NO_DEADLINE, NULL), 0);
    assert_int_equal(ferry_session_wait(destination, FERRY_NO_DEADLINE, NULL), 0);
    machine_stop(&there, NULL);
    check_memory(&there);
    assert_null(ferry_channel_connect(address, 0, NULL));
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_channel_unref(silent);
    ferry_channel_unref(chan);
    machine_close(&here);
    machine_close(&there);
}

static void a_destination_that_listens_can_be_cancelled_and_gives_up_in_time(void **state)
{
    struct ferry_session *destination;
    struct ferry_listener *listener;
    struct machine there;

    machine_open(&there, "test");
    for (int i = 0; i < 3; i++) {
        listener = ferry_listener_open("unix:@ferry-migrate-test", NULL);
        assert_non_null(listener);
        destination = ferry_destination_listen(there.guest, listener, i == 2 ? 10 : FERRY_NO_DEADLINE, NULL, NULL);
        assert_non_null(destination);
        if (i == 0) /* at any moment; the second is simply freed */
            ferry_session_cancel(destination);
        if (i != 1)
            assert_int_equal(ferry_session_wait(destination, FERRY_NO_DEADLINE, NULL),
                             i == 0 ? -ECANCELED : -ETIMEDOUT);
        ferry_session_free(destination);
    }
    assert_int_equal(there.starts, 0);
    machine_close(&there);
}

/* Cancel after more and more bytes, so in setup, in the rounds and near the switch: the guest always goes on here. */
static void a_cancel_leaves_the_guest_at_the_source(void **state)
{
    static const uint64_t moments[] = { 0, 1, 20000, 1 << 20, 3 << 20 };

    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        struct ferry_options *options = slowly("20MiB/s");
        struct machine here, there;
        struct ferry_channel *pair[2];
        struct ferry_session *source, *destination;
        int64_t asked;

        machine_open(&here, "test");
        machine_open(&there, "test");
        memset((void *)here.memory, 7, BYTES);
        assert_int_equal(machine_start(&here, NULL), 0);
        assert_int_equal(ferry_channel_pair(pair, NULL), 0);
        destination = ferry_destination_start(there.guest, pair[1], options, NULL);
        source = ferry_source_start(here.guest, pair[0], options, NULL);
        wait_for_bytes(source, moments[i]);
        asked = clock_now_ns();
        ferry_session_cancel(source);
        ferry_session_cancel(source);
        assert_int_equal(ferry_session_wait(source, FERRY_NO_DEADLINE, NULL), -ECANCELED);
        assert_true(clock_now_ns() - asked < 60 * NS_PER_SEC);
        assert_true(here.started && atomic_load(&here.running));
        assert_int_equal(here.starts, here.stops + 1);
        ferry_channel_unref(pair[0]);
        ferry_session_free(source);
        assert_true(ferry_session_wait(destination, FERRY_NO_DEADLINE, NULL) < 0);
        assert_int_equal(there.starts, 0);
        ferry_session_free(destination);
        ferry_channel_unref(pair[1]);
        ferry_options_free(options);
        machine_close(&here);
        machine_close(&there);
    }
}

static void a_lost_destination_leaves_the_guest_at_the_source(void **state)
{
    struct ferry_options *options = slowly("20MiB/s");
    struct machine here, there;
    struct ferry_channel *pair[2];
    struct ferry_session *source, *destination;
    struct ferry_error err;

    machine_open(&here, "test");
    machine_open(&there, "test");
    memset((void *)here.memory, 7, BYTES);
    assert_int_equal(machine_start(&here, NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    destination = ferry_destination_start(there.guest, pair[1], NULL, NULL);
    source = ferry_source_start(here.guest, pair[0], options, NULL);
    wait_for_bytes(source, 100000);
    ferry_channel_shutdown(pair[1], FERRY_READ_WRITE);
    assert_true(ferry_session_wait(source, FERRY_NO_DEADLINE, &err) < 0);
    assert_true(strlen(err.text) > 10);
    assert_true(here.started);
    assert_true(ferry_session_wait(destination, FERRY_NO_DEADLINE, &err) < 0);
    assert_int_equal(there.starts, 0);
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    ferry_options_free(options);
    machine_close(&here);
    machine_close(&there);
}

/* Nobody who knows the dialect is there: the source gives up after its set-up time. */
static void an_unanswered_hello_ends_in_time(void **state)
{
    struct ferry_options *options = ferry_options_new();
    struct machine here;
    struct ferry_channel *pair[2];
    struct ferry_session *source;
    struct ferry_error err;

    assert_int_equal(ferry_options_set(options, "setup-timeout", "50ms", NULL), 0);
    machine_open(&here, "test");
    assert_int_equal(machine_start(&here, NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    source = ferry_source_start(here.guest, pair[0], options, NULL);
    assert_int_equal(ferry_session_wait(source, FERRY_NO_DEADLINE, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "hello"));
    assert_true(here.started);
    ferry_session_free(source);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    ferry_options_free(options);
    machine_close(&here);
}

static void another_machine_is_refused(void **state)
{
    struct machine here, there;
    struct ferry_channel *pair[2];
    struct ferry_session *source, *destination;
    struct ferry_error err;

    machine_open(&here, "one");
    machine_open(&there, "two");
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    destination = ferry_destination_start(there.guest, pair[1], NULL, NULL);
    source = ferry_source_start(here.guest, pair[0], NULL, NULL);
    assert_int_equal(ferry_session_wait(destination, FERRY_NO_DEADLINE, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'one'"));
    assert_non_null(strstr(err.text, "'two'"));
    ferry_session_free(destination);
    ferry_channel_unref(pair[1]);
    ferry_session_free(source);
    ferry_channel_unref(pair[0]);
    machine_close(&here);
    machine_close(&there);
}

/* The limit is raised while the migration crawls: it then ends soon. */
static void the_limit_can_be_changed_while_it_runs(void **state)
{
    struct ferry_options *options = slowly("64KiB/s");
    struct machine here, there;
    struct ferry_channel *pair[2];
    struct ferry_session *source, *destination;
    struct ferry_error err;

    machine_open(&here, "test");
    machine_open(&there, "test");
    memset((void *)here.memory, 7, BYTES);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    destination = ferry_destination_start(there.guest, pair[1], NULL, NULL);
    source = ferry_source_start(here.guest, pair[0], options, NULL);
    wait_for_bytes(source, 1);
    assert_int_equal(ferry_session_set_option(source, "connect-timeout", "1s", &err), -EPERM);
    assert_int_equal(ferry_session_set_option(source, "max-bandwidth", "unlimited", NULL), 0);
    assert_int_equal(ferry_session_wait(source, FERRY_NO_DEADLINE, NULL), 0);
    assert_int_equal(ferry_session_wait(destination, FERRY_NO_DEADLINE, NULL), 0);
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    ferry_options_free(options);
    machine_close(&here);
    machine_close(&there);
}

/* The CPU rewrites all 8 MiB in no time; 1 MiB/s can never keep up, and the sentence says what would. */
static void what_cannot_converge_is_given_up_with_the_rate_it_needs(void **state)
{
    struct ferry_options *options = slowly("8MiB/s");
    struct machine here, there;
    struct ferry_channel *pair[2];
    struct ferry_session *source, *destination;
    struct ferry_error err;

    assert_int_equal(ferry_options_set(options, "give-up-after", "2", NULL), 0);
    assert_int_equal(ferry_options_set(options, "downtime-limit", "1ms", NULL), 0);
    machine_open(&here, "test");
    machine_open(&there, "test");
    memset((void *)here.memory, 7, BYTES); /* the first round takes a second, in which the CPU surely runs */
    assert_int_equal(machine_start(&here, NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    destination = ferry_destination_start(there.guest, pair[1], NULL, NULL);
    source = ferry_source_start(here.guest, pair[0], options, NULL);
    assert_int_equal(ferry_session_wait(source, FERRY_NO_DEADLINE, &err), -ETIME);
    assert_non_null(strstr(err.text, "would be needed"));
    assert_true(here.started);
    ferry_channel_shutdown(pair[0], FERRY_READ_WRITE);
    assert_true(ferry_session_wait(destination, FERRY_NO_DEADLINE, NULL) < 0);
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    ferry_options_free(options);
    machine_close(&here);
    machine_close(&there);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_guest_crosses_whole),
        cmocka_unit_test(a_destination_that_listens_takes_its_source),
        cmocka_unit_test(a_destination_that_listens_can_be_cancelled_and_gives_up_in_time),
        cmocka_unit_test(a_cancel_leaves_the_guest_at_the_source),
        cmocka_unit_test(a_lost_destination_leaves_the_guest_at_the_source),
        cmocka_unit_test(an_unanswered_hello_ends_in_time),
        cmocka_unit_test(another_machine_is_refused),
        cmocka_unit_test(the_limit_can_be_changed_while_it_runs),
        cmocka_unit_test(what_cannot_converge_is_given_up_with_the_rate_it_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
