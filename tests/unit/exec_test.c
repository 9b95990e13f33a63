/* SPDX-License-Identifier: BSD-3-Clause */
/* exec_test.c - a child is a channel whose exit status counts, and it is never left behind */
#include <ferry/channel.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static ssize_t read_some(struct ferry_channel *chan, char *to, size_t bytes, struct ferry_error *err)
{
    return ferry_channel_readv(chan, &(struct iovec){ to, bytes }, 1, err);
}

static int write_text(struct ferry_channel *chan, const char *text, struct ferry_error *err)
{
    struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };

    return ferry_channel_writev_all(chan, &iov, 1, err);
}

static struct ferry_channel *run(const char *const argv[], enum ferry_direction direction)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_exec(argv, direction, &err);

    if (!chan)
        fail_msg("%s", err.text);
    return chan;
}

static void assert_no_child_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static int64_t elapsed_ms(const struct timespec *since)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void arguments_pass_without_a_shell(void **state)
{
    const char *const argv[] = { "printf", "%s", "a  b $HOME", NULL };
    struct ferry_channel *chan = run(argv, FERRY_READ);
    struct ferry_error err = { 0 };
    char word[64] = "";

    assert_int_equal(ferry_channel_read_all(chan, word, 10, &err), 0);
    assert_string_equal(word, "a  b $HOME");
    assert_int_equal(read_some(chan, word, 1, &err), 0);
    assert_string_equal(ferry_channel_label(chan), "exec:printf %s a  b $HOME");
    ferry_channel_unref(chan);
    assert_no_child_left();
}

static void a_bad_status_is_the_error_at_the_end(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_connect("exec:printf abc; exit 3", 0, &err);
    char word[8];

    assert_non_null(chan);
    assert_int_equal(ferry_channel_read_all(chan, word, 3, &err), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_some(chan, word, 1, &err), -EIO);
        assert_string_equal(err.text, "exec:printf abc; exit 3: child ended with status 3");
    }
    ferry_channel_unref(chan);
    assert_no_child_left();
}

static void a_killed_child_names_the_signal(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_connect("exec:kill -9 $$", 0, &err);
    char byte;

    assert_int_equal(read_some(chan, &byte, 1, &err), -EIO);
    assert_string_equal(err.text, "exec:kill -9 $$: child was killed by signal 9 (Killed)");
    ferry_channel_unref(chan);
}

static void finish_of_a_writer_waits_for_the_status(void **state)
{
    const char *const good[] = { "sh", "-c", "read x; test \"$x\" = ferry", NULL };
    const char *const bad[] = { "false", NULL };
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = run(good, FERRY_WRITE);

    assert_int_equal(write_text(chan, "ferry\n", &err), 0);
    if (ferry_channel_finish(chan, &err) < 0)
        fail_msg("%s", err.text);
    assert_no_child_left();
    ferry_channel_unref(chan);
    chan = run(bad, FERRY_WRITE);
    assert_int_equal(ferry_channel_finish(chan, &err), -EIO);
    assert_string_equal(err.text, "exec:false: child ended with status 1");
    ferry_channel_unref(chan);
    assert_no_child_left();
}

static void writing_to_a_dead_child_tells_its_status(void **state)
{
    const char *const argv[] = { "sh", "-c", "exit 42", NULL };
    struct ferry_channel *chan = run(argv, FERRY_WRITE);
    struct ferry_error err = { 0 };
    int ret;

    do
        ret = write_text(chan, "into the void", &err);
    while (ret == 0);
    assert_int_equal(ret, -EPIPE);
    assert_int_equal(err.errnum, -EPIPE);
    assert_non_null(strstr(err.text, "status 42"));
    ferry_channel_unref(chan);
}

static void a_command_that_is_not_there_is_named(void **state)
{
    const char *const argv[] = { "/nowhere/at-all", NULL };
    struct ferry_error err = { 0 };
    struct ferry_channel *chan;
    char byte;

    assert_null(ferry_channel_exec(argv, FERRY_READ, &err));
    assert_int_equal(err.errnum, -ENOENT);
    assert_string_equal(err.text, "exec:/nowhere/at-all: no such file or directory");
    chan = ferry_channel_connect("exec:/nowhere/at-all 2>/dev/null", 0, &err);
    assert_int_equal(read_some(chan, &byte, 1, &err), -EIO);
    assert_non_null(strstr(err.text, "status 127"));
    assert_true(strlen(err.hint) > 0);
    ferry_channel_unref(chan);
    assert_no_child_left();
}

static void a_child_that_ignores_everything_is_killed(void **state)
{
    const char *const argv[] = { "sh", "-c", "trap '' TERM PIPE; echo x; while :; do sleep 1; done <&- 2>&-", NULL };
    struct ferry_channel *chan = run(argv, FERRY_READ_WRITE);
    struct ferry_error err = { 0 };
    struct timespec begin;
    char byte;

    assert_int_equal(read_some(chan, &byte, 1, &err), 1);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    ferry_channel_unref(chan);
    assert_true(elapsed_ms(&begin) < 60000);
    assert_no_child_left();
}

static void shutdown_wakes_who_waits_for_the_end(void **state)
{
    /* Ends its output, but not itself. */
    const char *const argv[] = { "sh", "-c", "exec >&- 2>&-; exec sleep 100", NULL };
    struct ferry_channel *chan = run(argv, FERRY_READ);
    struct ferry_error err = { 0 };
    struct timespec begin;
    char byte;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    ferry_channel_shutdown(chan, FERRY_READ_WRITE);
    assert_int_equal(read_some(chan, &byte, 1, &err), -ESHUTDOWN);
    ferry_channel_unref(chan);
    assert_true(elapsed_ms(&begin) < 60000);
    assert_no_child_left();
}

static void the_child_starts_with_a_clean_slate(void **state)
{
    int fd = fcntl(1, F_DUPFD, 100); /* not close-on-exec: a careless embedder's */
    struct ferry_error err = { 0 };
    struct ferry_channel *chan;
    char text[256] = "";
    ssize_t got, bytes = 0;

    signal(SIGPIPE, SIG_IGN);
    chan = ferry_channel_connect("exec:exec 9>&- ; ls /proc/self/fd | tr '\\n' ' '; grep SigIgn /proc/self/status", 0,
                                 &err);
    signal(SIGPIPE, SIG_DFL);
    assert_non_null(chan);
    while ((got = read_some(chan, text + bytes, sizeof(text) - 1 - (size_t)bytes, &err)) > 0)
        bytes += got;
    assert_int_equal(got, 0);
    assert_null(strstr(text, "100 "));
    assert_non_null(strstr(text, "0 1 2 "));
    assert_non_null(strstr(text, "SigIgn:\t"));
    assert_false(strtoull(strstr(text, "SigIgn:\t") + 8, NULL, 16) >> (SIGPIPE - 1) & 1);
    ferry_channel_unref(chan);
    close(fd);
}

static void a_long_command_has_a_short_label(void **state)
{
    struct ferry_error err = { 0 };
    char command[600] = "exec:true ";
    struct ferry_channel *chan;

    memset(command + 10, 'x', sizeof(command) - 11);
    chan = ferry_channel_connect(command, 0, &err);
    assert_non_null(chan);
    assert_true(strlen(ferry_channel_label(chan)) < 80);
    assert_string_equal(ferry_channel_label(chan) + strlen(ferry_channel_label(chan)) - 3, "...");
    ferry_channel_unref(chan);
}

static void the_listener_reads_what_the_command_prints(void **state)
{
    struct ferry_error err = { 0 };
    struct ferry_listener *listener = ferry_listener_open("exec:echo ferry", &err);
    struct ferry_channel *chan;
    char word[6] = "";

    assert_non_null(listener);
    chan = ferry_listener_accept(listener, 0, &err);
    assert_non_null(chan);
    assert_null(ferry_listener_accept(listener, 0, &err));
    assert_int_equal(err.errnum, -ENOENT);
    ferry_listener_free(listener);
    assert_int_equal(ferry_channel_read_all(chan, word, 5, &err), 0);
    assert_string_equal(word, "ferry");
    ferry_channel_unref(chan);
    assert_no_child_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_pass_without_a_shell),
        cmocka_unit_test(a_bad_status_is_the_error_at_the_end),
        cmocka_unit_test(a_killed_child_names_the_signal),
        cmocka_unit_test(finish_of_a_writer_waits_for_the_status),
        cmocka_unit_test(writing_to_a_dead_child_tells_its_status),
        cmocka_unit_test(a_command_that_is_not_there_is_named),
        cmocka_unit_test(a_child_that_ignores_everything_is_killed),
        cmocka_unit_test(shutdown_wakes_who_waits_for_the_end),
        cmocka_unit_test(the_child_starts_with_a_clean_slate),
        cmocka_unit_test(a_long_command_has_a_short_label),
        cmocka_unit_test(the_listener_reads_what_the_command_prints),
    };

    return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
