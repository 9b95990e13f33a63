/* SPDX-License-Identifier: BSD-3-Clause */
/* roster_test.c - every order of a session's connections ends in the same roster, and nobody else gets in */
#include "roster.h"
#include "waiting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ALL 5 /* main, pages 0 to 2, and pages 3 or urgent */

static const struct roster_terms terms = { .protocol_capabilities = 0x0c,
                                           .device_capabilities = 1,
                                           .max_connections = 8 };

static struct ferry_channel *chan;

static int make_channel(void **state)
{
    chan = ferry_channel_buffer_reader("", 0, NULL);
    return chan ? 0 : -1;
}

static int free_channel(void **state)
{
    ferry_channel_unref(chan);
    return 0;
}

static struct hello hello_of(enum hello_role role, unsigned index, unsigned connections)
{
    return (struct hello){ .lowest = 1,
                           .highest = 2,
                           .session = "the session",
                           .role = role,
                           .index = (uint8_t)index,
                           .connections = (uint16_t)connections,
                           .protocol = 0x38,
                           .device = 3 };
}

/* The n-th of ALL. */
static struct hello hello_at(unsigned n, bool urgent)
{
    if (n == 0)
        return hello_of(HELLO_MAIN, 0, ALL);
    return n == ALL - 1 && urgent ? hello_of(HELLO_URGENT, 0, ALL) : hello_of(HELLO_PAGES, n - 1, ALL);
}

static void take(struct roster *roster, const struct hello *hello)
{
    struct hello_refusal refusal;

    assert_int_equal(roster_judge(roster, hello, &refusal), ROSTER_TAKE);
    roster_take(roster, hello, chan);
    roster_answered(roster);
}

/* Let all arrive in @order; those who have to wait come again as soon as there is a main connection. */
static void arrive(const unsigned order[ALL], bool urgent)
{
    unsigned waiting[ALL], count = 0;
    struct roster roster;

    roster_init(&roster, &terms);
    for (unsigned i = 0; i < ALL; i++) {
        struct hello hello = hello_at(order[i], urgent);
        struct hello_refusal refusal;

        assert_false(roster_complete(&roster));
        if (roster_judge(&roster, &hello, &refusal) == ROSTER_WAIT) {
            assert_false(roster.named);
            waiting[count++] = order[i];
            continue;
        }
        take(&roster, &hello);
        for (; order[i] == 0 && count > 0; count--) {
            hello = hello_at(waiting[count - 1], urgent);
            take(&roster, &hello);
        }
    }
    assert_true(roster_complete(&roster));
    assert_int_equal(roster.came, ALL);
    assert_non_null(roster.main);
    assert_true(!!roster.urgent == urgent);
    for (unsigned i = 0; i < 4; i++)
        assert_true(!!roster.pages[i] == (i < 3 || !urgent));
    assert_int_equal(roster.agreed.version, 1);
    assert_int_equal(roster.agreed.protocol, 0x08);
    assert_int_equal(roster.agreed.device, 1);
    roster_clear(&roster);
    assert_null(roster.main);
}

static unsigned permute(unsigned order[ALL], unsigned fixed, bool urgent)
{
    unsigned count = 0;

    if (fixed == ALL) {
        arrive(order, urgent);
        return 1;
    }
    for (unsigned i = fixed; i < ALL; i++) {
        unsigned other = order[i];

        order[i] = order[fixed];
        order[fixed] = other;
        count += permute(order, fixed + 1, urgent);
        order[fixed] = order[i];
        order[i] = other;
    }
    return count;
}

static void every_order_completes(void **state)
{
    unsigned order[ALL] = { 0, 1, 2, 3, 4 };

    assert_int_equal(permute(order, 0, false), 120);
    assert_int_equal(permute(order, 0, true), 120);
}

static void assert_refused(const struct roster *roster, const struct hello *hello, enum hello_code code)
{
    struct hello_refusal refusal = { 0 };

    assert_int_equal(roster_judge(roster, hello, &refusal), ROSTER_REFUSE);
    assert_int_equal(refusal.code, code);
    assert_true(refusal.why.text[0]);
}

static void what_makes_no_sense_is_refused_before_anybody_is_there(void **state)
{
    static const struct {
        int role;
        unsigned index, connections;
        enum hello_code code;
    } cases[] = {
        { 0, 0, 5, HELLO_BAD_ROLE },
        { 4, 0, 5, HELLO_BAD_ROLE },
        { 255, 255, 5, HELLO_BAD_ROLE },
        { HELLO_MAIN, 1, 5, HELLO_BAD_INDEX },
        { HELLO_URGENT, 1, 5, HELLO_BAD_INDEX },
        { HELLO_PAGES, 4, 5, HELLO_BAD_INDEX },
        { HELLO_PAGES, 255, 5, HELLO_BAD_INDEX },
        { HELLO_MAIN, 0, 0, HELLO_MALFORMED },
        { HELLO_PAGES, 0, 1, HELLO_MALFORMED },
        { HELLO_URGENT, 0, 1, HELLO_MALFORMED },
        { HELLO_MAIN, 0, 9, HELLO_TOO_MANY },
        { HELLO_MAIN, 0, 65535, HELLO_TOO_MANY },
    };
    struct roster roster;
    struct hello hello;

    roster_init(&roster, &terms);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hello = hello_of((enum hello_role)cases[i].role, cases[i].index, cases[i].connections);
        assert_refused(&roster, &hello, cases[i].code);
    }
    hello = hello_of(HELLO_MAIN, 0, 5);
    hello.lowest = hello.highest = 2;
    assert_refused(&roster, &hello, HELLO_NO_VERSION);
    hello = hello_of(HELLO_MAIN, 0, 8);
    take(&roster, &hello);
    roster_clear(&roster);
}

static void a_named_session_takes_only_its_own(void **state)
{
    struct roster roster;
    struct hello hello = hello_of(HELLO_MAIN, 0, 4);

    roster_init(&roster, &terms);
    take(&roster, &hello);
    assert_refused(&roster, &hello, HELLO_DUPLICATE);
    hello.session[15] = 1;
    assert_refused(&roster, &hello, HELLO_STRAY);
    hello = hello_of(HELLO_PAGES, 0, 4);
    hello.session[0] ^= 1;
    assert_refused(&roster, &hello, HELLO_STRAY);
    hello = hello_of(HELLO_PAGES, 0, 5);
    assert_refused(&roster, &hello, HELLO_DISAGREES);
    hello = hello_of(HELLO_PAGES, 0, 4);
    hello.protocol ^= 1;
    assert_refused(&roster, &hello, HELLO_DISAGREES);
    hello = hello_of(HELLO_PAGES, 0, 4);
    hello.device ^= 4;
    assert_refused(&roster, &hello, HELLO_DISAGREES);
    hello = hello_of(HELLO_PAGES, 0, 4);
    hello.highest = 1;
    assert_refused(&roster, &hello, HELLO_DISAGREES);
    hello = hello_of(HELLO_PAGES, 0, 4);
    take(&roster, &hello);
    assert_refused(&roster, &hello, HELLO_DUPLICATE);
    roster_vacate(&roster, &hello);
    take(&roster, &hello);
    roster_clear(&roster);
}

static void urgent_and_the_last_pages_exclude_each_other(void **state)
{
    struct hello main = hello_of(HELLO_MAIN, 0, 3), urgent = hello_of(HELLO_URGENT, 0, 3);
    struct hello last = hello_of(HELLO_PAGES, 1, 3);
    struct roster roster;

    roster_init(&roster, &terms);
    take(&roster, &main);
    take(&roster, &urgent);
    assert_refused(&roster, &last, HELLO_BAD_INDEX);
    roster_clear(&roster);
    take(&roster, &main);
    take(&roster, &last);
    assert_refused(&roster, &urgent, HELLO_BAD_INDEX);
    roster_clear(&roster);
}

/* An interrupted session waits for its own source, with the token of its switch, and for nobody else. */
static void who_returns_is_the_one_that_left(void **state)
{
    struct roster_return returns = { .session = "the session", .token = "its token" };
    struct hello back = hello_of(HELLO_RESUME, 0, 1), other = back;
    struct roster_terms theirs = terms;
    struct hello_refusal refusal;
    struct roster roster;

    memcpy(back.nonce, returns.token, sizeof(returns.token));
    roster_init(&roster, &terms);
    assert_int_equal(roster_judge(&roster, &back, &refusal), ROSTER_REFUSE);
    assert_int_equal(refusal.code, HELLO_STRAY);
    theirs.returns = &returns;
    roster_init(&roster, &theirs);
    assert_int_equal(roster_judge(&roster, &other, &refusal), ROSTER_REFUSE); /* no token */
    assert_int_equal(refusal.code, HELLO_STRAY);
    other = back;
    other.session[0] ^= 1;
    assert_int_equal(roster_judge(&roster, &other, &refusal), ROSTER_REFUSE);
    other = back;
    other.role = HELLO_MAIN;
    assert_int_equal(roster_judge(&roster, &other, &refusal), ROSTER_REFUSE);
    take(&roster, &back);
    assert_true(roster_complete(&roster));
    assert_int_equal(roster_judge(&roster, &back, &refusal), ROSTER_REFUSE);
    assert_int_equal(refusal.code, HELLO_DUPLICATE);
    roster_clear(&roster);
}

static void what_is_missing_is_named(void **state)
{
    struct hello main = hello_of(HELLO_MAIN, 0, 5), one = hello_of(HELLO_PAGES, 1, 5),
                 urgent = hello_of(HELLO_URGENT, 0, 5);
    struct roster roster;
    char text[64];

    roster_init(&roster, &terms);
    take(&roster, &main);
    take(&roster, &one);
    assert_string_equal(roster_missing(&roster, text, sizeof(text)), "pages 0, pages 2, pages 3 or urgent");
    take(&roster, &urgent);
    assert_string_equal(roster_missing(&roster, text, sizeof(text)), "pages 0, pages 2");
    assert_string_equal(roster_missing(&roster, text, 10), "pages 0, ");
    roster_clear(&roster);
}

static void the_largest_session_fits(void **state)
{
    const struct roster_terms wide = { .max_connections = 100000 };
    struct roster roster;
    char text[32];

    roster_init(&roster, &wide);
    for (unsigned i = 0; i < HELLO_ALL_MAX; i++) {
        struct hello hello = i == 0   ? hello_of(HELLO_MAIN, 0, HELLO_ALL_MAX)
                             : i == 1 ? hello_of(HELLO_URGENT, 0, HELLO_ALL_MAX)
                                      : hello_of(HELLO_PAGES, i - 2, HELLO_ALL_MAX);

        assert_false(roster_complete(&roster));
        roster_missing(&roster, text, sizeof(text));
        take(&roster, &hello);
    }
    assert_true(roster_complete(&roster));
    roster_clear(&roster);
    {
        struct hello too_many = hello_of(HELLO_MAIN, 0, HELLO_ALL_MAX + 1);

        assert_refused(&roster, &too_many, HELLO_TOO_MANY);
    }
}

static void who_waits_is_taken_in_order_and_room_ends(void **state)
{
    static struct waiting_list list;
    struct hello hello = hello_of(HELLO_PAGES, 0, 5);
    struct waiting one;

    assert_true(waiting_until_ns(&list) < 0);
    assert_false(waiting_take(&list, INT64_MAX, &one));
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        hello.index = (uint8_t)i;
        assert_true(waiting_add(&list, chan, &hello, 100 + i));
    }
    assert_false(waiting_add(&list, chan, &hello, 500));
    assert_int_equal(waiting_until_ns(&list), 100);
    assert_false(waiting_take(&list, 99, &one));
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        assert_true(waiting_take(&list, i < 2 ? 100 + i : INT64_MAX, &one));
        assert_int_equal(one.hello.index, i);
        assert_ptr_equal(one.chan, chan);
        ferry_channel_unref(one.chan);
    }
    assert_false(waiting_take(&list, INT64_MAX, &one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_completes),
        cmocka_unit_test(what_makes_no_sense_is_refused_before_anybody_is_there),
        cmocka_unit_test(a_named_session_takes_only_its_own),
        cmocka_unit_test(urgent_and_the_last_pages_exclude_each_other),
        cmocka_unit_test(who_returns_is_the_one_that_left),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(the_largest_session_fits),
        cmocka_unit_test(who_waits_is_taken_in_order_and_room_ends),
    };

    return cmocka_run_group_tests(tests, make_channel, free_channel);
}
