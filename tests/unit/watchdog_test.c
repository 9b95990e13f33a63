/* SPDX-License-Identifier: BSD-3-Clause */
/* watchdog_test.c - what is not called off in time happens once, and in its order; what is called off never does */
#include "clock.h"
#include "deadline.h"
#include "watchdog.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

static int barks[2]; /* what has barked, a byte each */

static void bark(void *name)
{
    (void)!write(barks[1], name, 1);
}

static char next_bark(int timeout_ms)
{
    struct pollfd polled = { .fd = barks[0], .events = POLLIN };
    char name = '-';

    if (poll(&polled, 1, timeout_ms) == 1)
        (void)!read(barks[0], &name, 1);
    return name;
}

static int make_dog(void **state)
{
    *state = watchdog_new(NULL);
    return *state && pipe(barks) == 0 ? 0 : -1;
}

static int free_dog(void **state)
{
    watchdog_free(*state);
    close(barks[0]);
    close(barks[1]);
    return 0;
}

static void the_earliest_barks_first_whatever_the_order_of_setting(void **state)
{
    struct watchdog_watch watch[3] = { 0 };
    int64_t now_ns = clock_now_ns();

    watchdog_set(*state, &watch[0], now_ns + 300 * NS_PER_MS, bark, (char[]){ "c" });
    watchdog_set(*state, &watch[1], now_ns + 100 * NS_PER_MS, bark, (char[]){ "a" });
    watchdog_set(*state, &watch[2], now_ns + 200 * NS_PER_MS, bark, (char[]){ "b" });
    assert_int_equal(next_bark(PATIENCE_MS), 'a');
    assert_true(clock_now_ns() - now_ns >= 100 * NS_PER_MS);
    assert_int_equal(next_bark(PATIENCE_MS), 'b');
    assert_int_equal(next_bark(PATIENCE_MS), 'c');
    for (int i = 0; i < 3; i++)
        assert_true(watchdog_clear(*state, &watch[i]));
}

static void what_is_called_off_does_not_bark(void **state)
{
    struct watchdog_watch off = { 0 }, later = { 0 };
    int64_t now_ns = clock_now_ns();

    watchdog_set(*state, &off, now_ns + 500 * NS_PER_MS, bark, (char[]){ "x" });
    watchdog_set(*state, &later, now_ns + 510 * NS_PER_MS, bark, (char[]){ "l" });
    assert_false(watchdog_clear(*state, &off));
    assert_int_equal(next_bark(PATIENCE_MS), 'l');
    assert_false(watchdog_clear(*state, &off));
    assert_true(watchdog_clear(*state, &later));
    assert_false(watchdog_clear(*state, &later));
}

/* Far enough away that a busy machine gets to the second setting before the first is due. */
static void a_watch_can_be_moved_both_ways(void **state)
{
    struct watchdog_watch moved = { 0 }, fixed = { 0 };
    int64_t now_ns = clock_now_ns();

    watchdog_set(*state, &fixed, now_ns + 500 * NS_PER_MS, bark, (char[]){ "f" });
    watchdog_set(*state, &moved, now_ns + 490 * NS_PER_MS, bark, (char[]){ "x" });
    watchdog_set(*state, &moved, now_ns + 600 * NS_PER_MS, bark, (char[]){ "m" });
    assert_int_equal(next_bark(PATIENCE_MS), 'f');
    assert_int_equal(next_bark(PATIENCE_MS), 'm');
    watchdog_set(*state, &moved, now_ns + 3600 * NS_PER_SEC, bark, (char[]){ "x" });
    watchdog_set(*state, &moved, now_ns, bark, (char[]){ "n" });
    assert_int_equal(next_bark(PATIENCE_MS), 'n');
    watchdog_clear(*state, &fixed);
    watchdog_clear(*state, &moved);
}

static void a_watch_still_set_does_not_keep_the_dog(void **state)
{
    struct watchdog *dog = watchdog_new(NULL);
    struct watchdog_watch watch = { 0 };

    assert_non_null(dog);
    watchdog_set(dog, &watch, INT64_MAX - 1, bark, (char[]){ "x" });
    watchdog_free(dog);
    watchdog_free(NULL);
}

static void a_transfer_ends_at_its_deadline(void **state)
{
    struct deadline deadline = { 0 };
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    char byte;
    int ret;

    assert_int_equal(ferry_channel_pair(pair, &err), 0);
    deadline_begin(&deadline, *state, pair[0], FERRY_READ, clock_deadline_ns(20));
    ret = ferry_channel_read_all(pair[0], &byte, 1, &err);
    assert_int_equal(ret, -ESHUTDOWN);
    assert_int_equal(deadline_end(&deadline, ret, "nothing came", &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, ": nothing came"));
    /* The other direction still works. */
    assert_int_equal(ferry_channel_writev(pair[0], &(struct iovec){ (char[]){ "f" }, 1 }, 1, NULL), 1);

    deadline_begin(&deadline, *state, pair[1], FERRY_READ, clock_deadline_ns(60000));
    assert_int_equal(deadline_end(&deadline, ferry_channel_read_all(pair[1], &byte, 1, &err), "nothing came", &err), 0);
    deadline_begin(&deadline, *state, pair[1], FERRY_READ, -1);
    assert_int_equal(deadline_end(&deadline, -EIO, "nothing came", &err), -EIO);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_barks_first_whatever_the_order_of_setting),
        cmocka_unit_test(what_is_called_off_does_not_bark),
        cmocka_unit_test(a_watch_can_be_moved_both_ways),
        cmocka_unit_test(a_watch_still_set_does_not_keep_the_dog),
        cmocka_unit_test(a_transfer_ends_at_its_deadline),
    };

    return cmocka_run_group_tests(tests, make_dog, free_dog);
}
