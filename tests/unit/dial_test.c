/* SPDX-License-Identifier: BSD-3-Clause */
/* dial_test.c - one source and one destination greet each other, or each says what is wrong */
#include "clock.h"
#include "gather_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

/* A destination that has one connection and no listener; what it is sent, and what it makes of it. */
static int alone_with(const void *data, size_t bytes, bool hang_up, struct party *party, struct ferry_channel *pair[2])
{
    struct gather_terms terms = gather_terms_of(scene.options, 8);
    char copy[128];

    memcpy(copy, data, bytes);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    party_begin_with(party, &terms, NULL, pair[1]);
    if (bytes)
        assert_int_equal(ferry_channel_writev_all(pair[0], &(struct iovec){ copy, bytes }, 1, NULL), 0);
    if (hang_up)
        ferry_channel_shutdown(pair[0], FERRY_READ_WRITE);
    return party_end(party);
}

static void drop(struct party *party, struct ferry_channel *pair[2])
{
    party_clear(party);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

static void with_a_single_connection_its_fault_is_the_error(void **state)
{
    struct ferry_channel *pair[2];
    uint8_t bytes[HELLO_BYTES];
    struct hello hello;
    struct party party;

    assert_int_equal(dial_introduce(scene.options, 1, &hello, NULL), 0);
    hello_encode(&hello, bytes);
    assert_int_equal(alone_with(bytes, sizeof(bytes), false, &party, pair), 0);
    assert_agreed(pair[0], &hello);
    assert_joined(pair[0], party.result.main);
    drop(&party, pair);
    assert_int_equal(alone_with("QEVM", 4, false, &party, pair), 0);
    assert_int_equal(party.result.kind, HELLO_KIND_QEMU);
    drop(&party, pair);
    assert_int_equal(alone_with("nonsense", 8, true, &party, pair), -EPROTO);
    assert_non_null(strstr(party.err.text, "not a migration stream"));
    assert_int_equal(party.err.code, FERRY_E_NOT_A_STREAM);
    drop(&party, pair);
    assert_int_equal(alone_with("\x11\x22\x33\x44", 4, false, &party, pair), -EPROTO);
    assert_non_null(strstr(party.err.text, "multifd"));
    drop(&party, pair);
    assert_int_equal(alone_with(bytes, 20, true, &party, pair), -EPIPE);
    drop(&party, pair);
    assert_int_equal(alone_with("", 0, true, &party, pair), -EPIPE);
    drop(&party, pair);
    hello.connections = 3;
    hello_encode(&hello, bytes);
    assert_int_equal(alone_with(bytes, sizeof(bytes), false, &party, pair), -ETIMEDOUT);
    assert_non_null(strstr(party.err.text, "1 of 3 connections came"));
    drop(&party, pair);
    hello.lowest = hello.highest = 2;
    hello_encode(&hello, bytes);
    assert_int_equal(alone_with(bytes, sizeof(bytes), false, &party, pair), -EPROTO);
    assert_int_equal(party.err.code, FERRY_E_PROTOCOL_VERSION);
    assert_refused(ferry_channel_ref(pair[0]), HELLO_NO_VERSION, "no common version");
    drop(&party, pair);
}

static void a_source_dials_and_both_agree_to_what_both_have(void **state)
{
    const uint64_t offered = scene.options->protocol_capabilities;
    struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct ferry_channel *main, *urgent;
    struct ferry_error err = { 0 };
    struct hello_answer answer = { 0 }, other = { 0 };
    struct hello hello, second;
    struct party party;
    const struct dial_terms to = { .uri = scene.uri, .options = scene.options, .dog = scene.dog };

    terms.roster.protocol_capabilities = 0x10 | 2;
    party_begin_with(&party, &terms, scene.listener, NULL);
    assert_int_equal(dial_introduce(scene.options, 2, &hello, &err), 0);
    main = dial_connect(&to, &hello, &answer, &err);
    assert_non_null(main);
    assert_int_equal(answer.version, 1);
    assert_int_equal(answer.protocol, offered & 0x10);
    assert_int_equal(dial_another(&hello, HELLO_URGENT, 0, &second, &err), 0);
    assert_memory_equal(second.session, hello.session, HELLO_ID_BYTES);
    assert_memory_not_equal(second.nonce, hello.nonce, HELLO_ID_BYTES);
    urgent = dial_connect(&to, &second, &other, &err);
    assert_non_null(urgent);
    assert_int_equal(other.protocol, answer.protocol);
    assert_memory_not_equal(other.nonce, answer.nonce, HELLO_ID_BYTES);
    assert_int_equal(party_end(&party), 0);
    assert_int_equal(party.result.agreed.protocol, answer.protocol);
    assert_memory_equal(party.result.hello.session, hello.session, HELLO_ID_BYTES);
    assert_memory_equal(party.result.agreed.nonce, answer.nonce, HELLO_ID_BYTES);
    assert_joined(urgent, party.result.urgent);
    ferry_channel_unref(main);
    ferry_channel_unref(urgent);
    party_clear(&party);
}

/* Refuses the first session with @refuse, and says which came. */
struct door {
    int refuse, asked;
    uint8_t session[HELLO_ID_BYTES];
};

static int admit(void *opaque, const struct hello *main, struct ferry_error *err)
{
    struct door *door = opaque;

    memcpy(door->session, main->session, HELLO_ID_BYTES);
    return door->asked++ == 0 ? ferry_error_set(err, door->refuse, "the first is not for us") : 0;
}

static void a_session_begins_before_it_is_answered(void **state)
{
    struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct door door = { .refuse = -EALREADY };
    struct hello_answer answer;
    struct ferry_error err = { 0 };
    struct ferry_channel *chan;
    struct hello hello;
    struct party party;
    const struct dial_terms to = { .uri = scene.uri, .options = scene.options, .dog = scene.dog };

    terms.admit = admit;
    terms.opaque = &door;
    party_begin_with(&party, &terms, scene.listener, NULL);
    assert_int_equal(dial_introduce(scene.options, 1, &hello, NULL), 0);
    assert_null(dial_connect(&to, &hello, &answer, &err));
    assert_int_equal(err.errnum, -EPERM);
    assert_non_null(strstr(err.text, "the first is not for us"));
    assert_memory_equal(door.session, hello.session, HELLO_ID_BYTES);
    assert_int_equal(dial_introduce(scene.options, 1, &hello, NULL), 0);
    chan = dial_connect(&to, &hello, &answer, &err);
    assert_non_null(chan);
    assert_int_equal(party_end(&party), 0);
    assert_memory_equal(party.result.hello.session, hello.session, HELLO_ID_BYTES);
    assert_int_equal(door.asked, 2);
    ferry_channel_unref(chan);
    party_clear(&party);
}

static void what_cannot_begin_ends_the_wait(void **state)
{
    struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct door door = { .refuse = -ENOSPC };
    struct hello_answer answer;
    struct hello hello;
    struct party party;
    const struct dial_terms to = { .uri = scene.uri, .options = scene.options, .dog = scene.dog };

    terms.admit = admit;
    terms.opaque = &door;
    party_begin_with(&party, &terms, scene.listener, NULL);
    assert_int_equal(dial_introduce(scene.options, 1, &hello, NULL), 0);
    assert_null(dial_connect(&to, &hello, &answer, NULL));
    assert_int_equal(party_end(&party), -ENOSPC);
    assert_non_null(strstr(party.err.text, "the first is not for us"));
    party_clear(&party);
}

static void a_source_does_not_wait_for_ever_and_hears_why_not(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    struct hello_answer answer;
    struct hello hello;
    struct party party;
    const struct dial_terms to = { .uri = scene.uri, .options = scene.options, .dog = scene.dog };

    assert_int_equal(dial_introduce(scene.options, 0, &hello, &err), -EINVAL);
    assert_int_equal(dial_introduce(scene.options, HELLO_ALL_MAX + 1, &hello, &err), -EINVAL);
    assert_int_equal(dial_introduce(scene.options, 9, &hello, &err), 0);
    assert_int_equal(dial_another(&hello, HELLO_PAGES, HELLO_MAX_PAGES, &hello, &err), -EINVAL);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    assert_int_equal(dial_greet(pair[0], &hello, scene.dog, 20 * NS_PER_MS, &answer, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "does not answer the hello"));
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);

    party_begin(&party);
    assert_null(dial_connect(&to, &hello, &answer, &err));
    assert_int_equal(err.errnum, -EPERM);
    assert_non_null(strstr(err.text, "the destination refuses: 9 connections are announced, at most 8"));
    gather_cancel(party.gather);
    assert_int_equal(party_end(&party), -ECANCELED);
    party_clear(&party);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_single_connection_its_fault_is_the_error),
        cmocka_unit_test(a_source_dials_and_both_agree_to_what_both_have),
        cmocka_unit_test(a_session_begins_before_it_is_answered),
        cmocka_unit_test(what_cannot_begin_ends_the_wait),
        cmocka_unit_test(a_source_does_not_wait_for_ever_and_hears_why_not),
    };

    return cmocka_run_group_tests(tests, gather_set_up, gather_tear_down);
}
