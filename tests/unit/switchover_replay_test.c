/* SPDX-License-Identifier: BSD-3-Clause */
/* switchover_replay_test.c - a connection that was recorded and is played again starts no guest */
#include "switchover_fixture.h"

#include <ferry/codes.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SAID_MAX (256 * 1024)

/* A wire of two sockets on each side, with an ear on what the source says. */
struct wire {
    int to_source, to_destination;
    uint8_t said[SAID_MAX];
    size_t bytes;
};

static void *carry_back(void *opaque)
{
    struct wire *wire = opaque;
    uint8_t some[4096];
    ssize_t got;

    while ((got = read(wire->to_destination, some, sizeof(some))) > 0)
        if (write(wire->to_source, some, (size_t)got) != got)
            break;
    shutdown(wire->to_source, SHUT_WR);
    return NULL;
}

static void *carry(void *opaque)
{
    struct wire *wire = opaque;
    ssize_t got;

    while ((got = read(wire->to_source, wire->said + wire->bytes, sizeof(wire->said) - wire->bytes)) > 0) {
        if (write(wire->to_destination, wire->said + wire->bytes, (size_t)got) != got)
            break;
        wire->bytes += (size_t)got;
    }
    shutdown(wire->to_destination, SHUT_WR);
    return NULL;
}

static struct ferry_channel *socket_channel(int fd)
{
    char uri[32];

    snprintf(uri, sizeof(uri), "fd:%d", fd);
    return ferry_channel_connect(uri, 0, &err);
}

/* A whole migration over @wire, which remembers the source's half of it. */
static void migrate_over(struct wire *wire)
{
    int left[2], right[2];
    pthread_t there_and_back[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, left), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, right), 0);
    wire->to_source = left[1];
    wire->to_destination = right[0];
    assert_int_equal(pthread_create(&there_and_back[0], NULL, carry, wire), 0);
    assert_int_equal(pthread_create(&there_and_back[1], NULL, carry_back, wire), 0);
    here.chan = socket_channel(left[0]);
    there.chan = socket_channel(right[1]);
    assert_true(here.chan && there.chan);
    there.session = ferry_destination_start(there.guest, there.chan, there.options, &err);
    here.session = ferry_source_start(here.guest, here.chan, here.options, &err);
    if (ferry_session_wait(here.session, FERRY_NO_DEADLINE, &err) < 0 ||
        ferry_session_wait(there.session, FERRY_NO_DEADLINE, &err) < 0)
        fail_msg("%s", err.text);
    ferry_channel_shutdown(here.chan, FERRY_READ_WRITE);
    ferry_channel_shutdown(there.chan, FERRY_READ_WRITE);
    for (int i = 0; i < 2; i++)
        pthread_join(there_and_back[i], NULL);
    close(wire->to_source);
    close(wire->to_destination);
}

/* The same bytes to another destination; how that ends. */
static int replay(const struct wire *wire, struct end *again, const char *journal)
{
    struct ferry_channel *pair[2];
    struct iovec said = { (void *)wire->said, wire->bytes };
    int ret;

    end_open(again, "again");
    if (journal)
        assert_int_equal(ferry_options_set(again->options, "journal", journal, NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    again->session = ferry_destination_start(again->guest, pair[1], again->options, NULL);
    (void)!ferry_channel_writev_all(pair[0], &said, 1, NULL);
    ret = ferry_session_wait(again->session, 100, &err);
    ferry_channel_unref(pair[1]);
    ferry_channel_unref(pair[0]);
    if (ret == -ETIMEDOUT)
        ret = ferry_session_wait(again->session, FERRY_NO_DEADLINE, &err);
    return ret;
}

static void a_recorded_connection_starts_nothing(void **state)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    struct end again;

    memset(here.ram, 0, SWITCHOVER_BYTES); /* so that all of it fits into a socket */
    migrate_over(wire);
    atomic_store(&there.running, false);
    assert_int_equal(replay(wire, &again, NULL), -EPROTO);
    assert_int_equal(err.code, FERRY_E_BAD_TOKEN);
    assert_int_equal(again.starts, 0);
    assert_int_equal(step_of(&again), JOURNAL_ABORTED);
    end_close(&again);
    assert_int_equal(replay(wire, &again, there.journal), -EALREADY);
    assert_non_null(strstr(err.text, "this very session was here before"));
    assert_int_equal(again.starts, 0);
    assert_int_equal(step_of(&there), JOURNAL_RUNNING);
    end_close(&again);
    free(wire);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_recorded_connection_starts_nothing),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
