/* SPDX-License-Identifier: BSD-3-Clause */
/* gather_tls_test.c - who may connect here, and knows how a session is called, is not a part of it by that
 *
 * The session's source and another client are both let in by the destination's credentials.
 */
#include "gather_fixture.h"
#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[64];

static struct ferry_channel *encrypted(struct tls_credentials *creds, const struct hello *hello)
{
    struct ferry_error err = { 0 };
    struct ferry_channel *chan = tls_channel_new(connected(), creds, FIXTURE_HOST, &err);

    if (!chan || hello_send(chan, hello, &err) < 0)
        fail_msg("%s", err.text);
    return chan;
}

/* A client has shaken hands before its server has: until that is through, nobody there knows the keys of further
 * connections. */
static struct ferry_channel *encrypted_once_known(struct tls_credentials *creds, const struct hello *hello)
{
    struct ferry_channel *chan = NULL;

    while (!chan) {
        struct ferry_channel *inner = connected();
        struct ferry_error err;

        chan = tls_channel_new(inner, creds, FIXTURE_HOST, &err);
        if (!chan)
            ferry_channel_unref(inner);
    }
    assert_int_equal(hello_send(chan, hello, NULL), 0);
    return chan;
}

static void begin(struct party *party, struct secure *secure, struct tls_credentials *creds)
{
    struct gather_terms terms = gather_terms_of(scene.options, 8);

    *secure = (struct secure){ creds };
    terms.secure = secure;
    party_begin_with(party, &terms, scene.listener, NULL);
}

/* The hellos of a session with two connections for pages. */
static void introduce_three(struct hello hellos[3])
{
    assert_int_equal(dial_introduce(scene.options, 3, &hellos[0], NULL), 0);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(dial_another(&hellos[0], HELLO_PAGES, i - 1, &hellos[i], NULL), 0);
}

static void assert_completed(struct party *party, struct ferry_channel *const chans[3])
{
    if (party_end(party) < 0)
        fail_msg("%s", party->err.text);
    assert_joined(chans[0], party->result.main);
    for (unsigned i = 1; i < 3; i++)
        assert_joined(chans[i], party->result.pages[i - 1]);
}

static void only_who_has_the_key_of_the_main_connection_belongs_to_it(void **state)
{
    struct tls_credentials *source = fixture_credentials(TLS_CLIENT, &(struct tls_terms){ .folder = folder });
    struct tls_credentials *destination = fixture_credentials(TLS_SERVER, &(struct tls_terms){ .folder = folder });
    struct ferry_channel *chans[3], *other;
    struct tls_credentials *bound, *elsewhere;
    struct hello hellos[3];
    struct secure secure;
    struct party party;

    begin(&party, &secure, destination);
    introduce_three(hellos);
    chans[0] = encrypted(source, &hellos[0]);
    assert_agreed(chans[0], &hellos[0]);
    bound = tls_channel_bound(chans[0], NULL);
    assert_non_null(bound);

    assert_refused(encrypted(source, &hellos[1]), HELLO_STRAY, "pages 0 is not proven");
    other = tls_channel_new(connected(), source, FIXTURE_HOST, NULL);
    assert_non_null(other);
    elsewhere = tls_channel_bound(other, NULL);
    assert_non_null(elsewhere);
    assert_refused(encrypted_once_known(elsewhere, &hellos[2]), HELLO_STRAY, "pages 1 is not proven");
    ferry_channel_unref(other);

    for (unsigned i = 1; i < 3; i++) {
        chans[i] = encrypted(bound, &hellos[i]);
        assert_agreed(chans[i], &hellos[i]);
    }
    assert_completed(&party, chans);
    for (unsigned i = 0; i < 3; i++)
        ferry_channel_unref(chans[i]);
    party_clear(&party);
    tls_credentials_unref(elsewhere);
    tls_credentials_unref(bound);
    tls_credentials_unref(source);
    tls_credentials_unref(destination);
}

/* There are no such keys in TLS 1.2. */
static void before_that_only_who_has_the_same_name(void **state)
{
    struct tls_terms terms = { .psk = folder, .least = TLS_LEAST_1_2, .ciphers = "aes-256-gcm" };
    struct tls_credentials *destination = fixture_credentials(TLS_SERVER, &terms), *source, *other;
    struct ferry_channel *chans[3];
    struct hello hellos[3];
    struct secure secure;
    struct party party;

    source = fixture_credentials(TLS_CLIENT, &terms);
    terms.identity = "other";
    other = fixture_credentials(TLS_CLIENT, &terms);
    begin(&party, &secure, destination);
    introduce_three(hellos);
    chans[0] = encrypted(source, &hellos[0]);
    assert_agreed(chans[0], &hellos[0]);
    assert_null(tls_channel_bound(chans[0], NULL));
    assert_refused(encrypted(other, &hellos[1]), HELLO_STRAY, "pages 0 is not proven");
    for (unsigned i = 1; i < 3; i++) {
        chans[i] = encrypted(source, &hellos[i]);
        assert_agreed(chans[i], &hellos[i]);
    }
    assert_completed(&party, chans);
    for (unsigned i = 0; i < 3; i++)
        ferry_channel_unref(chans[i]);
    party_clear(&party);
    tls_credentials_unref(source);
    tls_credentials_unref(other);
    tls_credentials_unref(destination);
}

static int set_up(void **state)
{
    fixture_folder(folder);
    fixture_fill(folder);
    return gather_set_up(state);
}

static int tear_down(void **state)
{
    fixture_remove(folder);
    return gather_tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_has_the_key_of_the_main_connection_belongs_to_it),
        cmocka_unit_test(before_that_only_who_has_the_same_name),
    };

    return cmocka_run_group_tests_name("gather_tls", tests, set_up, tear_down);
}
