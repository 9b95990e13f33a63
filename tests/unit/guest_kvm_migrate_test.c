/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_kvm_migrate_test.c - a virtual machine goes through real sessions, and its check has the last word */
#include "guest.h"
#include "kvm_vm.h"

#include <ferry/session.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
    struct bench_verify verify;
    struct bench_figures left, arrived;
    char tracker[64];
    uint64_t took_ns;
};

/* Moves @source, which goes on at the destination. */
static struct bench_guest *migrate(struct bench_guest *source, struct outcome *outcome)
{
    struct ferry_error err = { 0 };
    struct bench_guest *destination = bench_guest_incoming("kvm", &err);
    struct ferry_session *sending, *receiving;
    struct ferry_channel *pair[2];
    struct ferry_stats stats;

    assert_non_null(destination);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    receiving = ferry_destination_start(bench_guest_ferry(destination), pair[1], NULL, NULL);
    sending = ferry_source_start(bench_guest_ferry(source), pair[0], NULL, &err);
    if (!sending || ferry_session_wait(sending, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(receiving, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", ferry_error_text(&err));
    ferry_session_stats(sending, &stats);
    snprintf(outcome->tracker, sizeof(outcome->tracker), "%s", stats.tracker);
    outcome->took_ns = stats.time.total_ns;
    bench_guest_figures(source, &outcome->left);
    ferry_session_free(sending);
    ferry_session_free(receiving);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    return destination;
}

static void look(struct bench_guest *guest, struct outcome *outcome)
{
    struct ferry_error err = { 0 };

    if (bench_guest_verify(guest, 20000000, &outcome->verify, &err) < 0)
        fail_msg("%s", err.text);
    bench_guest_figures(guest, &outcome->arrived);
}

static void a_busy_guest_crosses_whole(void **state)
{
    static const struct {
        const char *text, *tracker;
    } cases[] = {
        { "kvm:size=16MiB,dirty=20MiB/s,zero=30%,threads=2", "kvm-log" },
        { "kvm:size=16MiB,dirty=20MiB/s,threads=2,dirty-log=ring", "kvm-ring" },
        { "kvm:size=8MiB,dirty=10MiB/s,hot=25%,dirty-log=uffd", "uffd-" },
        { "kvm:size=5000KiB,dirty=5MiB/s,pattern=sequential,huge=off", "kvm-log" },
        { "kvm:size=8MiB,dirty=unlimited,hot=1%,dirty-log=bitmap", "kvm-log" },
        { "kvm:size=8MiB", "kvm-log" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench_guest *source = bench_guest_new(cases[i].text, NULL), *destination;
        struct outcome outcome;

        assert_non_null(source);
        assert_int_equal(bench_guest_start(source, NULL), 0);
        destination = migrate(source, &outcome);
        look(destination, &outcome);
        if (outcome.verify.mismatched || outcome.verify.lost_writes)
            fail_msg("%s: %d mismatched, %d lost: %s", cases[i].text, (int)outcome.verify.mismatched,
                     (int)outcome.verify.lost_writes, outcome.verify.first);
        assert_int_equal(outcome.verify.pages, outcome.left.ram_bytes / FERRY_PAGE_BYTES);
        assert_true(!strncmp(outcome.tracker, cases[i].tracker, strlen(cases[i].tracker)));
        /* What it counts goes on, and its own clock saw the stop. */
        assert_true(outcome.arrived.beats > outcome.left.beats);
        assert_true(outcome.arrived.blackout_ns > 0);
        assert_true((uint64_t)outcome.arrived.blackout_ns <= outcome.arrived.largest_gap_ns);
        assert_true((uint64_t)outcome.arrived.blackout_ns < outcome.took_ns + 20000000);
        bench_guest_free(source);
        bench_guest_free(destination);
    }
}

static void it_goes_on_from_where_it_arrived(void **state)
{
    struct bench_guest *guest = bench_guest_new("kvm:size=8MiB,dirty=20MiB/s,threads=2", NULL);
    struct outcome outcome;

    assert_non_null(guest);
    assert_int_equal(bench_guest_start(guest, NULL), 0);
    for (int hop = 0; hop < 3; hop++) {
        struct bench_guest *next = migrate(guest, &outcome);

        bench_guest_free(guest);
        guest = next;
    }
    look(guest, &outcome);
    if (outcome.verify.mismatched || outcome.verify.lost_writes)
        fail_msg("%s", outcome.verify.first);
    assert_true(outcome.arrived.blackout_ns > 0);
    bench_guest_free(guest);
}

/* A tracker that reports nothing: what was written during the migration is lost, and must be missed. */
static int lie_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    return 0;
}

static int lie_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    return 0;
}

static void lie_stop(void *opaque, const struct ferry_block *block)
{
}

static const struct ferry_tracker_ops lies = { .name = "lies", lie_start, lie_sync, lie_stop };

static void lost_pages_are_missed(void **state)
{
    struct bench_guest *source = bench_guest_new("kvm:size=32MiB,dirty=unlimited,dirty-log=uffd", NULL), *destination;
    struct outcome outcome;

    assert_non_null(source);
    assert_int_equal(ferry_guest_add_tracker(bench_guest_ferry(source), &lies, NULL, NULL), 0);
    assert_int_equal(bench_guest_start(source, NULL), 0);
    destination = migrate(source, &outcome);
    look(destination, &outcome);
    assert_true(outcome.verify.lost_writes + outcome.verify.mismatched > 0);
    assert_true(outcome.verify.first[0]);
    bench_guest_free(source);
    bench_guest_free(destination);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_guest_crosses_whole),
        cmocka_unit_test(it_goes_on_from_where_it_arrived),
        cmocka_unit_test(lost_pages_are_missed),
    };
    struct ferry_error err = { 0 };
    struct kvm_vm vm;
    int rc;

    kvm_vm_init(&vm);
    rc = kvm_vm_open(&vm, &err);
    kvm_vm_close(&vm);
    if (rc < 0) {
        printf("SKIP: needs kvm: %s\n", err.text);
        return 77;
    }
    return cmocka_run_group_tests_name("guest_kvm_migrate", tests, NULL, NULL);
}
