/* SPDX-License-Identifier: BSD-3-Clause */
/* connect_test.c - connecting names what it could not reach, keeps its deadline, and waits for who comes late */
#include <ferry/channel.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A port where nobody listens any more. */
static void free_address(char *to, size_t room)
{
    struct ferry_listener *listener = ferry_listener_open("tcp:127.0.0.1:0", NULL);

    assert_non_null(listener);
    snprintf(to, room, "%s", ferry_listener_address(listener));
    ferry_listener_free(listener);
}

static void refusal_names_the_address(void **state)
{
    struct ferry_error err = { 0 };
    char uri[64], want[128];

    free_address(uri, sizeof(uri));
    assert_null(ferry_channel_connect(uri, 0, &err));
    snprintf(want, sizeof(want), "%s: connection refused", uri);
    assert_string_equal(err.text, want);
    assert_int_equal(err.errnum, -ECONNREFUSED);
    assert_non_null(strstr(err.hint, "ferry recv"));
    assert_null(ferry_channel_connect("unix:/nowhere/socket", 0, &err));
    assert_string_equal(err.text, "unix:/nowhere/socket: no such file or directory");
    assert_non_null(strstr(err.hint, "ferry recv"));
    assert_null(ferry_channel_connect("unix:@ferry-nobody-is-here", 0, &err));
    assert_int_equal(err.errnum, -ECONNREFUSED);
    assert_null(ferry_channel_connect("tcp:127.0.0.1:0", 0, &err));
    assert_int_equal(err.errnum, -EINVAL);
    assert_null(ferry_channel_connect("nonsense", 0, &err));
    assert_int_equal(err.errnum, -EINVAL);
    assert_null(ferry_channel_connect(uri, 0, NULL));
}

static void an_unknown_name_is_said(void **state)
{
    struct ferry_error err = { 0 };

    assert_null(ferry_channel_connect("tcp:no such name:4444", 1000, &err));
    assert_int_equal(strncmp(err.text, "tcp:no such name:4444: ", 23), 0);
}

static void refusal_lasts_until_the_deadline(void **state)
{
    struct ferry_error err = { 0 };
    int64_t begin = now_ms();
    char uri[64];

    free_address(uri, sizeof(uri));
    assert_null(ferry_channel_connect(uri, 100, &err));
    assert_int_equal(err.errnum, -ECONNREFUSED);
    assert_true(now_ms() - begin >= 100);
    assert_true(now_ms() - begin < 60000);
}

struct late {
    const char *uri;
    struct ferry_channel *chan;
};

static void *connect_late(void *opaque)
{
    struct late *late = opaque;

    late->chan = ferry_channel_connect(late->uri, 60000, NULL);
    return NULL;
}

static void who_comes_late_is_waited_for(void **state)
{
    struct ferry_listener *listener;
    struct ferry_channel *chan;
    struct late late = { 0 };
    pthread_t thread;
    char uri[64];

    snprintf(uri, sizeof(uri), "unix:@ferry-late-%d", (int)getpid());
    late.uri = uri;
    assert_int_equal(pthread_create(&thread, NULL, connect_late, &late), 0);
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    listener = ferry_listener_open(uri, NULL);
    assert_non_null(listener);
    chan = ferry_listener_accept(listener, 60000, NULL);
    assert_non_null(chan);
    pthread_join(thread, NULL);
    assert_non_null(late.chan);
    assert_string_equal(ferry_channel_label(late.chan), uri);
    ferry_channel_unref(late.chan);
    ferry_channel_unref(chan);
    ferry_listener_free(listener);
}

static void a_name_finds_the_family_that_listens(void **state)
{
    struct ferry_listener *listener = ferry_listener_open("tcp:127.0.0.1:0", NULL);
    struct ferry_channel *chan;
    struct ferry_error err = { 0 };
    char uri[64];

    assert_non_null(listener);
    snprintf(uri, sizeof(uri), "tcp:localhost%s", strrchr(ferry_listener_address(listener), ':'));
    chan = ferry_channel_connect(uri, 60000, &err);
    if (!chan)
        fail_msg("%s", err.text);
    assert_string_equal(ferry_channel_label(chan), ferry_listener_address(listener));
    ferry_channel_unref(chan);
    ferry_listener_free(listener);
}

static void descriptors_are_checked(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), ends[2];
    char uri[32];

    assert_null(ferry_channel_connect("fd:99999", 0, &err));
    assert_string_equal(err.text, "fd:99999: bad file descriptor");
    snprintf(uri, sizeof(uri), "fd:%d", fd);
    assert_null(ferry_channel_connect(uri, 0, &err));
    assert_int_equal(err.errnum, -EPROTOTYPE);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_null(ferry_channel_from_fd(fd, NULL, &err));
    assert_int_equal(err.errnum, -ENOTCONN);
    close(fd);
    assert_int_equal(pipe(ends), 0);
    chan = ferry_channel_from_fd(ends[0], "named", &err);
    assert_string_equal(ferry_channel_label(chan), "named");
    assert_int_equal(ferry_channel_directions(chan), FERRY_READ);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    ferry_channel_unref(chan);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    close(ends[1]);
}

static void a_borrowed_mode_is_given_back(void **state)
{
    int ends[2], copy;
    struct ferry_channel *chan;

    assert_int_equal(pipe(ends), 0);
    copy = dup(ends[1]);
    chan = ferry_channel_from_fd(ends[1], NULL, NULL);
    assert_true(fcntl(copy, F_GETFL) & O_NONBLOCK);
    ferry_channel_unref(chan);
    assert_false(fcntl(copy, F_GETFL) & O_NONBLOCK);
    close(copy);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusal_names_the_address),
        cmocka_unit_test(an_unknown_name_is_said),
        cmocka_unit_test(refusal_lasts_until_the_deadline),
        cmocka_unit_test(who_comes_late_is_waited_for),
        cmocka_unit_test(a_name_finds_the_family_that_listens),
        cmocka_unit_test(descriptors_are_checked),
        cmocka_unit_test(a_borrowed_mode_is_given_back),
    };

    return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
