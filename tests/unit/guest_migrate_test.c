/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_migrate_test.c - the synthetic guest goes through real sessions, and its check has the last word */
#include "guest.h"

#include <ferry/session.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Moves @source; returns what the check at the destination says. */
static struct bench_verify migrate(struct bench_guest *source, struct bench_figures *arrived)
{
    struct bench_guest *destination = bench_guest_incoming("pattern", NULL);
    struct ferry_session *sending, *receiving;
    struct ferry_channel *pair[2];
    struct bench_verify verify = { 0 };
    struct ferry_error err = { 0 };

    assert_non_null(destination);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    receiving = ferry_destination_start(bench_guest_ferry(destination), pair[1], NULL, NULL);
    sending = ferry_source_start(bench_guest_ferry(source), pair[0], NULL, &err);
    if (!sending || ferry_session_wait(sending, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(receiving, FERRY_NO_DEADLINE, &err) < 0 ||
        bench_guest_verify(destination, 5000000, &verify, &err) < 0)
        fail_msg("%s", ferry_error_text(&err));
    bench_guest_figures(destination, arrived);
    ferry_session_free(sending);
    ferry_session_free(receiving);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    bench_guest_free(destination);
    return verify;
}

static void a_busy_guest_crosses_whole(void **state)
{
    static const char *const texts[] = {
        "pattern:size=24MiB,dirty=20MiB/s,zero=30%,threads=2",
        "pattern:size=8MiB,dirty=10MiB/s,content=mixed,hot=25%,untouched=256MiB",
        "pattern:size=5000KiB,dirty=5MiB/s,content=text,pattern=sequential,huge=off",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bench_guest *source = bench_guest_new(texts[i], NULL);
        struct bench_figures left, arrived;
        struct bench_verify verify;

        assert_non_null(source);
        assert_int_equal(bench_guest_start(source, NULL), 0);
        verify = migrate(source, &arrived);
        if (verify.mismatched || verify.lost_writes)
            fail_msg("%s: %d mismatched, %d lost: %s", texts[i], (int)verify.mismatched, (int)verify.lost_writes,
                     verify.first);
        bench_guest_figures(source, &left);
        assert_int_equal(verify.pages, left.ram_bytes / FERRY_PAGE_BYTES);
        assert_true(arrived.beats > left.beats);
        assert_true(arrived.blackout_ns > 0);
        bench_guest_free(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_guest_crosses_whole),
    };

    return cmocka_run_group_tests_name("guest_migrate", tests, NULL, NULL);
}
