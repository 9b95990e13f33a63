/* SPDX-License-Identifier: BSD-3-Clause */
/* gather_fixture.c - a destination that gathers on a thread of its own, and whoever connects to it */
#include "gather_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gather_scene scene;

static char folder[] = "/tmp/ferry-gather-XXXXXX";

int gather_set_up(void **state)
{
    struct ferry_error err = { 0 };

    if (!mkdtemp(folder))
        return -1;
    snprintf(scene.uri, sizeof(scene.uri), "unix:%s/socket", folder);
    scene.dog = watchdog_new(&err);
    scene.options = ferry_options_new();
    scene.listener = ferry_listener_open(scene.uri, &err);
    return scene.dog && scene.options && scene.listener ? 0 : -1;
}

int gather_tear_down(void **state)
{
    ferry_listener_free(scene.listener);
    ferry_options_free(scene.options);
    watchdog_free(scene.dog);
    return rmdir(folder);
}

static void *gather_thread(void *opaque)
{
    struct party *party = opaque;

    party->ret = gather_run(party->gather, party->listener, party->first, &party->result, &party->err);
    return NULL;
}

void party_begin_with(struct party *party, const struct gather_terms *terms, struct ferry_listener *from,
                      struct ferry_channel *first)
{
    memset(party, 0, sizeof(*party));
    party->gather = gather_new(terms, scene.dog, &party->err);
    assert_non_null(party->gather);
    party->listener = from;
    party->first = first;
    assert_int_equal(pthread_create(&party->thread, NULL, gather_thread, party), 0);
}

void party_begin(struct party *party)
{
    const struct gather_terms terms = gather_terms_of(scene.options, 8);

    party_begin_with(party, &terms, scene.listener, NULL);
}

int party_end(struct party *party)
{
    pthread_join(party->thread, NULL);
    return party->ret;
}

void party_clear(struct party *party)
{
    gather_result_clear(&party->result);
    gather_free(party->gather);
}

struct ferry_channel *connected(void)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = ferry_channel_connect(scene.uri, 60000, &err);

    if (!chan)
        fail_msg("%s", err.text);
    return chan;
}

struct ferry_channel *connected_saying(const void *data, size_t bytes)
{
    struct ferry_channel *chan = connected();
    char copy[256];

    assert_true(bytes <= sizeof(copy));
    memcpy(copy, data, bytes);
    assert_int_equal(ferry_channel_writev_all(chan, &(struct iovec){ copy, bytes }, 1, NULL), 0);
    return chan;
}

struct ferry_channel *connected_with(const struct hello *hello)
{
    uint8_t bytes[HELLO_BYTES];

    return connected_saying(bytes, hello_encode(hello, bytes));
}

void introduce(struct hello hellos[ALL])
{
    assert_int_equal(dial_introduce(scene.options, ALL, &hellos[0], NULL), 0);
    for (unsigned i = 1; i < ALL; i++)
        assert_int_equal(dial_another(&hellos[0], HELLO_PAGES, i - 1, &hellos[i], NULL), 0);
}

void assert_agreed(struct ferry_channel *chan, const struct hello *hello)
{
    uint8_t first[HELLO_PEEK_BYTES];
    struct hello_answer answer;
    struct ferry_error err = { 0 };

    if (hello_receive_answer(chan, hello, first, &answer, &err) < 0)
        fail_msg("%s %u: %s", hello_role_name(hello->role), hello->index, err.text);
}

void assert_refused(struct ferry_channel *chan, enum hello_code code, const char *text)
{
    uint8_t head[HELLO_HEAD_BYTES], body[512];
    struct hello_refusal refusal = { 0 };
    struct hello_answer answer;
    uint8_t all[sizeof(head) + sizeof(body)];
    size_t bytes;

    assert_int_equal(ferry_channel_read_all(chan, head, sizeof(head), NULL), 0);
    bytes = head[10] * 256u + head[11];
    assert_true(bytes <= sizeof(body));
    assert_int_equal(ferry_channel_read_all(chan, body, bytes, NULL), 0);
    memcpy(all, head, sizeof(head));
    memcpy(all + sizeof(head), body, bytes);
    assert_int_equal(hello_decode_answer(all, sizeof(head) + bytes, &answer, &refusal, NULL), 0);
    assert_int_equal(refusal.code, code);
    if (!strstr(refusal.why.text, text))
        fail_msg("'%s' is not in '%s'", text, refusal.why.text);
    assert_true(ferry_channel_readv(chan, &(struct iovec){ body, 1 }, 1, NULL) <= 0);
    ferry_channel_unref(chan);
}

void assert_joined(struct ferry_channel *from, struct ferry_channel *to)
{
    static char counter;
    char sent = ++counter, got = 0;

    assert_int_equal(ferry_channel_writev(from, &(struct iovec){ &sent, 1 }, 1, NULL), 1);
    assert_int_equal(ferry_channel_read_all(to, &got, 1, NULL), 0);
    assert_int_equal(got, sent);
}
