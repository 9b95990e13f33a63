/* SPDX-License-Identifier: BSD-3-Clause */
/* short_queue_test.c - little waits in the kernel, least of all on a slow wire, and all of it arrives; a long one is
 * left alone
 */
#include "short_queue.h"

#include "channel.h"
#include "clock.h"
#include "socket.h"

#include <ferry/channel.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES      (12u << 20)
#define READ_BYTES (64u << 10)

/* Two ends of a connection over loopback, with one address or as two hosts would have them. */
static void tcp_pair(int pair[2], bool two)
{
    struct sockaddr_in other = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + two) };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(pair[0], (struct sockaddr *)&other, sizeof(other)), 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&address, length), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listener);
}

static void only_slow_and_short_wires_are_kept_short(void **state)
{
    assert_int_equal(short_queue_for(0, 50, 130), 0);
    assert_int_equal(short_queue_for(119 * UINT64_C(1000000), 50, 130), 18445); /* 1 Gbit/s: 155 us of it */
    assert_int_equal(short_queue_for(12 * UINT64_C(1000000), 50, 130), 8 << 10);
    assert_int_equal(short_queue_for(1120 * UINT64_C(1000000), 50, 130), 0); /* 10 Gbit/s */
    assert_int_equal(short_queue_for(119 * UINT64_C(1000000), 20000, 130), 0);
    assert_int_equal(short_queue_for(UINT64_MAX, UINT64_MAX, 130), 0);
}

static void what_is_no_tcp_is_left_alone(void **state)
{
    struct short_queue queue = { 0 };
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    short_queue_switch(&queue, pair[0], true);
    while (queue.on) /* until it looks */
        assert_int_equal(short_queue_piece(&queue), 0);
    close(pair[0]);
    close(pair[1]);
}

static void a_fast_wire_holds_little(void **state)
{
    assert_int_equal(short_queue_room(0, 50, 4 << 20), 0);
    assert_int_equal(short_queue_room(1200 * UINT64_C(1000000), 50, 4 << 20), 360000);
    assert_int_equal(short_queue_room(1200 * UINT64_C(1000000), 50, 192 << 10), 192 << 10);
    assert_int_equal(short_queue_room(30 * UINT64_C(1000000), 50, 4 << 20), 96 << 10);
    assert_int_equal(short_queue_room(12500 * UINT64_C(1000000), 50, 192 << 10), 0); /* too little for 100 Gbit/s */
    assert_int_equal(short_queue_room(700 * UINT64_C(1000000), 20000, 4 << 20), 0);
    assert_int_equal(short_queue_room(UINT64_MAX, UINT64_MAX, SIZE_MAX), 0);
    assert_int_equal(short_queue_room(UINT64_MAX, 1, 4 << 20), 0);
}

static void one_host_is_never_slow(void **state)
{
    struct short_queue queue = { 0 };
    int pair[2];

    for (int two = 0; two < 2; two++) {
        tcp_pair(pair, two);
        short_queue_switch(&queue, pair[0], true);
        assert_int_equal(queue.one_host, !two);
        assert_true(queue.most >= 192 << 10);
        short_queue_switch(&queue, pair[0], false);
        close(pair[0]);
        close(pair[1]);
    }
}

struct reading {
    int fd;
    uint8_t *bytes;
    size_t count;
};

/* Some 30 MB/s: no faster than a slow wire. */
static void *read_slowly(void *opaque)
{
    struct reading *reading = opaque;
    ssize_t got = 1;

    while (got > 0) {
        size_t left = BYTES - reading->count;

        clock_sleep_until_ns(clock_now_ns() + 2 * NS_PER_MS);
        got = recv(reading->fd, reading->bytes + reading->count, left < READ_BYTES ? left : READ_BYTES, 0);
        reading->count += got > 0 ? (size_t)got : 0;
    }
    return NULL;
}

/* The buffer that @two hosts, or one, have come to. */
static int send_all(bool two)
{
    struct reading reading = { .bytes = calloc(1, BYTES) };
    uint8_t *sent = malloc(BYTES);
    struct ferry_channel *chan;
    socklen_t length = sizeof(int);
    size_t done = 0;
    pthread_t thread;
    int pair[2], buffer;

    tcp_pair(pair, two);
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 2654435761u >> 13);
    reading.fd = pair[1];
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reading), 0);
    chan = socket_channel(pair[0], NULL, NULL);
    assert_non_null(chan);
    channel_set_queue(chan, CHANNEL_QUEUE_BACKGROUND);
    while (done < BYTES) {
        size_t left = (BYTES - done) / 2;
        struct iovec iov[2] = { { sent + done, left }, { sent + done + left, BYTES - done - left } };
        ssize_t wrote = ferry_channel_writev(chan, iov, 2, NULL);

        assert_true(wrote > 0);
        done += (size_t)wrote;
    }
    assert_int_equal(getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer, &length), 0);
    ferry_channel_unref(chan);
    pthread_join(thread, NULL);
    assert_int_equal(reading.count, BYTES);
    assert_memory_equal(reading.bytes, sent, BYTES);
    close(pair[1]);
    free(reading.bytes);
    free(sent);
    return buffer;
}

static void all_arrives_in_pieces(void **state)
{
    assert_in_range(send_all(true), 1, 128 << 10);
}

static void all_arrives_within_one_host(void **state)
{
    assert_in_range(send_all(false), 1, 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_slow_and_short_wires_are_kept_short),
        cmocka_unit_test(what_is_no_tcp_is_left_alone),
        cmocka_unit_test(a_fast_wire_holds_little),
        cmocka_unit_test(one_host_is_never_slow),
        cmocka_unit_test(all_arrives_in_pieces),
        cmocka_unit_test(all_arrives_within_one_host),
    };

    return cmocka_run_group_tests_name("short_queue", tests, NULL, NULL);
}
