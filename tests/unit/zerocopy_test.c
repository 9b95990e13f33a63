/* SPDX-License-Identifier: BSD-3-Clause */
/* zerocopy_test.c - lent memory arrives whole, is given back by sync, and where it cannot be lent that is said */
#include <ferry/zero_copy.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES (8u << 20)
#define PIECE (256u << 10)

static uint8_t *memory;
static enum { BY_SENDMSG, BY_RING, BY_RING_REGISTERED } manner;

/* False: not in that manner here. */
static bool lend(struct ferry_channel *chan)
{
    struct iovec all = { memory, BYTES };
    struct ferry_error err = { 0 };
    int ret;

    if (manner == BY_SENDMSG)
        ret = ferry_channel_set_zero_copy(chan, true, &err);
    else
        ret = ferry_channel_set_zero_copy_ring(chan, &all, manner == BY_RING_REGISTERED ? 1 : 0, &err);
    if (ret < 0 && manner == BY_SENDMSG)
        fail_msg("%s", err.text);
    if (ret < 0)
        assert_non_null(strstr(err.text, "by io_uring"));
    return ret == 0;
}

struct ends {
    struct ferry_listener *listener;
    struct ferry_channel *out, *in;
};

static void open_ends(struct ends *ends, const char *uri)
{
    struct ferry_error err = { 0 };

    ends->listener = ferry_listener_open(uri, &err);
    if (!ends->listener)
        fail_msg("%s", err.text);
    ends->out = ferry_channel_connect(ferry_listener_address(ends->listener), 1000, &err);
    assert_non_null(ends->out);
    ends->in = ferry_listener_accept(ends->listener, 1000, &err);
    assert_non_null(ends->in);
}

static void close_ends(struct ends *ends)
{
    ferry_channel_unref(ends->out);
    ferry_channel_unref(ends->in);
    ferry_listener_free(ends->listener);
}

static void *read_all(void *opaque)
{
    uint8_t *got = malloc(BYTES);

    if (!got || ferry_channel_read_all(opaque, got, BYTES, NULL) < 0) {
        free(got);
        return NULL;
    }
    return got;
}

static void send_lent(struct ferry_channel *chan)
{
    for (size_t at = 0; at < BYTES; at += PIECE) {
        struct iovec iov[2] = { { memory + at, 100 }, { memory + at + 100, PIECE - 100 } };

        assert_int_equal(ferry_channel_writev_all_lent(chan, iov, 2, NULL), 0);
    }
}

static void cross(struct ends *ends)
{
    pthread_t thread;
    void *got;

    assert_int_equal(pthread_create(&thread, NULL, read_all, ends->in), 0);
    send_lent(ends->out);
    assert_int_equal(ferry_channel_sync(ends->out, NULL), 0);
    assert_int_equal(pthread_join(thread, &got), 0);
    assert_non_null(got);
    assert_memory_equal(got, memory, BYTES);
    free(got);
}

static void lent_memory_arrives_whole_and_comes_back(void **state)
{
    struct ferry_zero_copy_figures figures;
    struct ends ends;

    open_ends(&ends, "tcp:127.0.0.1:0");
    if (!lend(ends.out)) {
        close_ends(&ends);
        return;
    }
    ferry_channel_zero_copy(ends.out, &figures);
    assert_int_equal(figures.state, FERRY_ZERO_COPY_ON);
    cross(&ends);
    ferry_channel_zero_copy(ends.out, &figures);
    assert_true(figures.lent_bytes > 0);
    assert_true(figures.avoided_sends + figures.copied_sends > 0);
    close_ends(&ends);
}

static void a_kernel_that_copies_all_the_same_is_not_asked_any_more(void **state)
{
    struct ferry_zero_copy_figures figures, later;
    struct ends ends;

    open_ends(&ends, "tcp:127.0.0.1:0");
    if (!lend(ends.out)) {
        close_ends(&ends);
        return;
    }
    cross(&ends);
    ferry_channel_zero_copy(ends.out, &figures);
    assert_int_equal(figures.state, FERRY_ZERO_COPY_COPIES);
    assert_string_equal(ferry_zero_copy_name(figures.state), "the kernel copies");
    assert_int_equal(figures.avoided_sends, 0);
    cross(&ends);
    ferry_channel_zero_copy(ends.out, &later);
    assert_int_equal(later.lent_bytes, figures.lent_bytes);
    close_ends(&ends);
}

static void small_pieces_are_not_lent(void **state)
{
    struct iovec iov = { memory, 1000 };
    struct ferry_zero_copy_figures figures;
    struct ends ends;

    open_ends(&ends, "tcp:127.0.0.1:0");
    if (!lend(ends.out)) {
        close_ends(&ends);
        return;
    }
    assert_int_equal(ferry_channel_writev_all_lent(ends.out, &iov, 1, NULL), 0);
    assert_int_equal(ferry_channel_sync(ends.out, NULL), 0);
    ferry_channel_zero_copy(ends.out, &figures);
    assert_int_equal(figures.lent_bytes, 0);
    close_ends(&ends);
}

/* The other end reads nothing, so what was lent stays lent; a shutdown must wake who waits for it. */
static void *shut_down(void *opaque)
{
    ferry_channel_shutdown(opaque, FERRY_READ_WRITE);
    return NULL;
}

static void a_shutdown_wakes_a_sync(void **state)
{
    struct iovec iov = { memory, PIECE };
    pthread_t thread;
    struct ends ends;
    int ret;

    open_ends(&ends, "tcp:127.0.0.1:0");
    if (!lend(ends.out)) {
        close_ends(&ends);
        return;
    }
    assert_true(ferry_channel_writev_lent(ends.out, &iov, 1, NULL) > 0);
    assert_int_equal(pthread_create(&thread, NULL, shut_down, ends.out), 0);
    ret = ferry_channel_sync(ends.out, NULL);
    assert_true(ret == 0 || ret == -ESHUTDOWN);
    assert_int_equal(pthread_join(thread, NULL), 0);
    iov = (struct iovec){ memory, PIECE };
    assert_int_equal(ferry_channel_writev_lent(ends.out, &iov, 1, NULL), -ESHUTDOWN);
    close_ends(&ends);
}

/* Completions on the error queue must not keep a reader of the same socket from sleeping, nor from being woken. */
static void a_reader_of_the_same_socket_is_not_disturbed(void **state)
{
    struct iovec answer = { memory, 1 };
    uint8_t got = 0xff;
    pthread_t thread;
    struct ends ends;
    void *all;

    open_ends(&ends, "tcp:127.0.0.1:0");
    if (!lend(ends.out)) {
        close_ends(&ends);
        return;
    }
    assert_int_equal(pthread_create(&thread, NULL, read_all, ends.in), 0);
    send_lent(ends.out);
    assert_int_equal(pthread_join(thread, &all), 0);
    free(all);
    assert_int_equal(ferry_channel_writev_all(ends.in, &answer, 1, NULL), 0);
    assert_int_equal(ferry_channel_read_all(ends.out, &got, 1, NULL), 0);
    assert_int_equal(got, memory[0]);
    assert_int_equal(ferry_channel_sync(ends.out, NULL), 0);
    close_ends(&ends);
}

static void where_there_is_none_that_is_said_and_all_goes_on(void **state)
{
    struct ferry_error err = { 0 };
    struct ends ends = { 0 };
    struct ferry_channel *pair[2];

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    ends.out = pair[0];
    ends.in = pair[1];
    assert_int_equal(ferry_channel_set_zero_copy(ends.out, true, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "no zero copy"));
    assert_int_equal(ferry_channel_set_zero_copy_ring(ends.out, NULL, 0, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "no zero copy"));
    assert_int_equal(ferry_channel_set_zero_copy(ends.out, false, &err), 0);
    cross(&ends);
    close_ends(&ends);
}

static int fill(void **state)
{
    memory = malloc(BYTES);
    for (size_t i = 0; memory && i < BYTES; i++)
        memory[i] = (uint8_t)(i * 7 + i / 4096);
    return memory ? 0 : -1;
}

static int drop(void **state)
{
    free(memory);
    return 0;
}

static int by_sendmsg(void **state)
{
    manner = BY_SENDMSG;
    return 0;
}

static int by_ring(void **state)
{
    manner = BY_RING;
    return 0;
}

static int by_ring_registered(void **state)
{
    manner = BY_RING_REGISTERED;
    return 0;
}

#define IN_EACH_MANNER(test)                                                         \
    cmocka_unit_test_setup(test, by_sendmsg), cmocka_unit_test_setup(test, by_ring), \
        cmocka_unit_test_setup(test, by_ring_registered)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_EACH_MANNER(lent_memory_arrives_whole_and_comes_back),
        IN_EACH_MANNER(a_kernel_that_copies_all_the_same_is_not_asked_any_more),
        IN_EACH_MANNER(small_pieces_are_not_lent),
        IN_EACH_MANNER(a_shutdown_wakes_a_sync),
        IN_EACH_MANNER(a_reader_of_the_same_socket_is_not_disturbed),
        cmocka_unit_test(where_there_is_none_that_is_said_and_all_goes_on),
    };

    return cmocka_run_group_tests(tests, fill, drop);
}
