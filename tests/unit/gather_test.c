/* SPDX-License-Identifier: BSD-3-Clause */
/* gather_test.c - a session's connections are found in any order and among any strangers, or it is said which are
 * missing
 *
 * The destination gathers on a thread of its own; the test is the source, and whoever else connects.
 */
#include "clock.h"
#include "gather_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

static void assert_completed(struct party *party, struct ferry_channel *const chans[ALL])
{
    if (party_end(party) < 0)
        fail_msg("%s", party->err.text);
    assert_int_equal(party->result.kind, HELLO_KIND_FERRY);
    assert_int_equal(party->result.pages_count, ALL - 1);
    assert_null(party->result.urgent);
    assert_joined(chans[0], party->result.main);
    assert_joined(party->result.main, chans[0]);
    for (unsigned i = 1; i < ALL; i++)
        assert_joined(chans[i], party->result.pages[i - 1]);
}

/* Connections of one session in this order, with strangers in between, who have had their word before the last one. */
static void arrive(const unsigned order[ALL])
{
    struct ferry_channel *chans[ALL], *silent[ALL], *foreign[ALL], *strays[ALL] = { 0 };
    struct hello hellos[ALL], others[ALL];
    struct party party;

    party_begin(&party);
    introduce(hellos);
    introduce(others);
    for (unsigned i = 0; i < ALL; i++) {
        silent[i] = connected();
        foreign[i] = connected_saying("GET / HTTP/1.1\r\n\r\n", 18);
        if (order[0] == 0 && i > 0)
            strays[i] = connected_with(&others[i % 3]);
        for (unsigned k = 0; i == ALL - 1 && k < ALL; k++) {
            assert_refused(foreign[k], HELLO_FOREIGN, "begins with 47 45 54 20");
            if (strays[k])
                assert_refused(strays[k], HELLO_STRAY, "another session");
        }
        chans[order[i]] = connected_with(&hellos[order[i]]);
        if (order[i] == 0)
            assert_agreed(chans[0], &hellos[0]);
    }
    for (unsigned i = 1; i < ALL; i++)
        assert_agreed(chans[i], &hellos[i]);
    assert_completed(&party, chans);
    for (unsigned i = 0; i < ALL; i++) {
        ferry_channel_unref(silent[i]);
        ferry_channel_unref(chans[i]);
    }
    party_clear(&party);
}

static unsigned permute(unsigned order[ALL], unsigned fixed)
{
    unsigned count = 0;

    if (fixed == ALL) {
        arrive(order);
        return 1;
    }
    for (unsigned i = fixed; i < ALL; i++) {
        unsigned other = order[i];

        order[i] = order[fixed];
        order[fixed] = other;
        count += permute(order, fixed + 1);
        order[fixed] = order[i];
        order[i] = other;
    }
    return count;
}

static void every_order_completes_among_strangers(void **state)
{
    unsigned order[ALL] = { 0, 1, 2, 3, 4 };

    assert_int_equal(permute(order, 0), 120);
}

static struct ferry_channel *connected_as(struct hello hello, int role, unsigned index, unsigned connections)
{
    hello.role = (enum hello_role)role;
    hello.index = (uint8_t)index;
    hello.connections = (uint16_t)connections;
    return connected_with(&hello);
}

static void who_does_not_belong_is_told_why(void **state)
{
    struct ferry_channel *chans[ALL];
    struct hello hellos[ALL], other;
    struct party party;

    party_begin(&party);
    introduce(hellos);
    assert_refused(connected_as(hellos[0], 0, 0, ALL), HELLO_BAD_ROLE, "role 0 is none");
    assert_refused(connected_as(hellos[0], 9, 0, ALL), HELLO_BAD_ROLE, "role 9");
    assert_refused(connected_as(hellos[0], HELLO_MAIN, 0, 9), HELLO_TOO_MANY, "at most 8");
    assert_refused(connected_as(hellos[0], HELLO_PAGES, 4, ALL), HELLO_BAD_INDEX, "pages 4 of a session with 5");
    other = hellos[0];
    other.lowest = other.highest = 7;
    assert_refused(connected_with(&other), HELLO_NO_VERSION, "the source speaks 7 to 7, the destination 1");
    assert_refused(connected_saying("FRHY\0\1\0\1\0\0\x10\1", 12), HELLO_MALFORMED, "4097 bytes");
    assert_refused(connected_saying("FRHY\0\1\0\1\0\0\0\2ab", 14), HELLO_MALFORMED, "too few");
    assert_refused(connected_saying("\x16\3\1\2", 4), HELLO_FOREIGN, "TLS came, and this end has no credentials");
    ferry_channel_unref(connected_saying("FR", 2));

    chans[0] = connected_with(&hellos[0]);
    assert_agreed(chans[0], &hellos[0]);
    chans[2] = connected_with(&hellos[2]);
    assert_agreed(chans[2], &hellos[2]);
    assert_refused(connected_with(&hellos[0]), HELLO_DUPLICATE, "main 0 is connected already");
    assert_refused(connected_with(&hellos[2]), HELLO_DUPLICATE, "pages 1 is connected already");
    assert_refused(connected_as(hellos[1], HELLO_PAGES, 0, 4), HELLO_DISAGREES, "pages 0 does not offer the same");
    other = hellos[1];
    other.session[3] ^= 1;
    assert_refused(connected_with(&other), HELLO_STRAY, "another session");
    {
        /* A plain stream, and a page connection of a QEMU, would not understand an answer: just no. */
        struct ferry_channel *plain = connected_saying("QEVM\0\0\0\3", 8);
        struct ferry_channel *pages = connected_saying("\x11\x22\x33\x44\0\0\0\1", 8);
        char byte;

        assert_true(ferry_channel_readv(plain, &(struct iovec){ &byte, 1 }, 1, NULL) <= 0);
        assert_true(ferry_channel_readv(pages, &(struct iovec){ &byte, 1 }, 1, NULL) <= 0);
        ferry_channel_unref(plain);
        ferry_channel_unref(pages);
    }
    for (unsigned i = 1; i < ALL; i += i == 1 ? 2 : 1) {
        chans[i] = connected_with(&hellos[i]);
        assert_agreed(chans[i], &hellos[i]);
    }
    assert_completed(&party, chans);
    for (unsigned i = 0; i < ALL; i++)
        ferry_channel_unref(chans[i]);
    party_clear(&party);
}

static void more_silent_strangers_than_there_are_places_keep_nobody_out(void **state)
{
    struct ferry_channel *silent[80], *main;
    struct hello hello;
    struct party party;

    party_begin(&party);
    for (unsigned i = 0; i < 80; i++)
        silent[i] = connected();
    assert_int_equal(dial_introduce(scene.options, 1, &hello, NULL), 0);
    main = connected_with(&hello);
    assert_agreed(main, &hello);
    assert_int_equal(party_end(&party), 0);
    assert_joined(main, party.result.main);
    /* The first was shown out long before, the last when it was over. */
    assert_refused(silent[0], HELLO_TOO_MANY, "say nothing");
    assert_refused(silent[79], HELLO_CLOSED, "any more");
    for (unsigned i = 1; i < 79; i++)
        ferry_channel_unref(silent[i]);
    ferry_channel_unref(main);
    party_clear(&party);
}

static void what_is_missing_in_the_end_is_named(void **state)
{
    struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct ferry_channel *main, *two;
    struct hello hellos[ALL];
    struct party party;
    char byte;

    terms.setup_ns = 500 * NS_PER_MS;
    party_begin_with(&party, &terms, scene.listener, NULL);
    introduce(hellos);
    main = connected_with(&hellos[0]);
    two = connected_with(&hellos[3]);
    assert_agreed(main, &hellos[0]);
    assert_agreed(two, &hellos[3]);
    assert_int_equal(party_end(&party), -ETIMEDOUT);
    assert_non_null(strstr(party.err.text, "2 of 5 connections came"));
    assert_non_null(strstr(party.err.text, "missing: pages 0, pages 1, pages 3 or urgent"));
    /* The source can still be told; the other is gone. */
    assert_joined(party.result.main, main);
    assert_int_equal(party.result.pages_count, 0);
    assert_int_equal(ferry_channel_readv(two, &(struct iovec){ &byte, 1 }, 1, NULL), 0);
    ferry_channel_unref(main);
    ferry_channel_unref(two);
    party_clear(&party);
}

static void who_waits_in_vain_is_sent_away_and_harms_nobody(void **state)
{
    struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct ferry_channel *slow, *main;
    struct hello hellos[ALL], alone;
    struct party party;

    terms.setup_ns = 500 * NS_PER_MS;
    party_begin_with(&party, &terms, scene.listener, NULL);
    introduce(hellos);
    slow = connected_saying("FRHY\0\1", 6);
    assert_refused(connected_with(&hellos[2]), HELLO_TOO_LATE, "main connection of this session has not come");
    assert_refused(slow, HELLO_TOO_LATE, "did not come whole in time");
    assert_refused(connected(), HELLO_TOO_LATE, "nothing came in time");
    assert_int_equal(dial_introduce(scene.options, 1, &alone, NULL), 0);
    main = connected_with(&alone);
    assert_agreed(main, &alone);
    assert_int_equal(party_end(&party), 0);
    ferry_channel_unref(main);
    party_clear(&party);

    terms.wait_ns = 20 * NS_PER_MS;
    party_begin_with(&party, &terms, scene.listener, NULL);
    assert_int_equal(party_end(&party), -ETIMEDOUT);
    assert_string_equal(party.err.text, "no source has come in time");
    party_clear(&party);
}

static void a_crowd_that_waits_for_other_sessions_hears_so(void **state)
{
    struct ferry_channel *chans[40], *main;
    struct hello hellos[ALL], alone;
    struct party party;
    char byte;

    party_begin(&party);
    for (unsigned i = 0; i < 40; i++) {
        introduce(hellos);
        chans[i] = connected_with(&hellos[1 + i % 4]);
    }
    assert_int_equal(dial_introduce(scene.options, 1, &alone, NULL), 0);
    main = connected_with(&alone);
    assert_agreed(main, &alone);
    assert_int_equal(party_end(&party), 0);
    for (unsigned i = 0; i < 40; i++) {
        uint8_t answer[HELLO_PEEK_BYTES];

        assert_int_equal(ferry_channel_read_all(chans[i], answer, sizeof(answer), NULL), 0);
        assert_true(hello_is_answer(answer));
        while (ferry_channel_readv(chans[i], &(struct iovec){ &byte, 1 }, 1, NULL) > 0)
            ;
        ferry_channel_unref(chans[i]);
    }
    ferry_channel_unref(main);
    party_clear(&party);
}

static void a_plain_stream_is_a_whole_session(void **state)
{
    struct ferry_channel *silent, *page, *plain;
    struct hello hellos[ALL];
    struct party party;
    char rest[4];

    party_begin(&party);
    introduce(hellos);
    silent = connected();
    page = connected_with(&hellos[1]);
    plain = connected_saying("QEVM\0\0\0\3", 8);
    assert_int_equal(party_end(&party), 0);
    assert_int_equal(party.result.kind, HELLO_KIND_QEMU);
    assert_memory_equal(party.result.first, "QEVM", 4);
    assert_int_equal(ferry_channel_read_all(party.result.main, rest, 4, NULL), 0);
    assert_memory_equal(rest, "\0\0\0\3", 4);
    assert_joined(party.result.main, plain);
    assert_refused(silent, HELLO_CLOSED, "any more");
    assert_refused(page, HELLO_CLOSED, "any more");
    ferry_channel_unref(plain);
    party_clear(&party);
}

static void a_cancel_wakes_it_at_any_time(void **state)
{
    const struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct ferry_channel *main, *silent;
    struct hello hellos[ALL];
    struct party party;

    party_begin(&party);
    gather_cancel(party.gather);
    assert_int_equal(party_end(&party), -ECANCELED);
    party_clear(&party);

    party_begin(&party);
    introduce(hellos);
    silent = connected();
    main = connected_with(&hellos[0]);
    assert_agreed(main, &hellos[0]);
    gather_cancel(party.gather);
    assert_int_equal(party_end(&party), -ECANCELED);
    assert_joined(party.result.main, main);
    assert_refused(silent, HELLO_CLOSED, "any more");
    ferry_channel_unref(main);
    party_clear(&party);

    memset(&party, 0, sizeof(party));
    party.gather = gather_new(&terms, scene.dog, NULL);
    assert_non_null(party.gather);
    gather_cancel(party.gather);
    assert_int_equal(gather_run(party.gather, scene.listener, NULL, &party.result, NULL), -ECANCELED);
    party_clear(&party);
}

static void a_listener_that_is_stopped_ends_it(void **state)
{
    const struct gather_terms terms = gather_terms_of(scene.options, 8);
    struct ferry_listener *own = ferry_listener_open("tcp:127.0.0.1:0", NULL);
    struct ferry_channel *main;
    struct hello hello;
    struct party party;

    assert_non_null(own);
    party_begin_with(&party, &terms, own, NULL);
    assert_int_equal(dial_introduce(scene.options, 2, &hello, NULL), 0);
    main = ferry_channel_connect(ferry_listener_address(own), 2000, NULL);
    assert_non_null(main);
    assert_int_equal(hello_send(main, &hello, NULL), 0);
    assert_agreed(main, &hello);
    ferry_listener_stop(own);
    assert_int_equal(party_end(&party), -ESHUTDOWN);
    ferry_channel_unref(main);
    party_clear(&party);
    ferry_listener_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_completes_among_strangers),
        cmocka_unit_test(who_does_not_belong_is_told_why),
        cmocka_unit_test(more_silent_strangers_than_there_are_places_keep_nobody_out),
        cmocka_unit_test(what_is_missing_in_the_end_is_named),
        cmocka_unit_test(who_waits_in_vain_is_sent_away_and_harms_nobody),
        cmocka_unit_test(a_crowd_that_waits_for_other_sessions_hears_so),
        cmocka_unit_test(a_plain_stream_is_a_whole_session),
        cmocka_unit_test(a_cancel_wakes_it_at_any_time),
        cmocka_unit_test(a_listener_that_is_stopped_ends_it),
    };

    return cmocka_run_group_tests(tests, gather_set_up, gather_tear_down);
}
