/* SPDX-License-Identifier: BSD-3-Clause */
/* owner_test.c - who may run the guest: every pair of steps, and what must hold between the pairs
 *
 * That the table fits the protocol is shown by the model (tests/model/switchover.pml), which reads the same rows.
 */
#include "owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* As in owner.c: rows by the source's step, columns by the destination's; x and ? are both undecided. */
static const char *const table[] = {
    "?S?DDS", "SSxxxS", "SSSxxS", "?xDDDS", "DxxDDx", "SSSxxS",
};

static struct journal_state make(enum journal_role role, int step)
{
    struct journal_state state = { .role = role, .step = (enum journal_step)step };

    memset(state.session, 7, sizeof(state.session));
    state.has_token = step > JOURNAL_STARTED;
    if (state.has_token)
        memset(state.token, 9, sizeof(state.token));
    return state;
}

static struct owner_decision decide(int left, int right)
{
    struct journal_state source = make(JOURNAL_SOURCE, left), destination = make(JOURNAL_DESTINATION, right);

    return owner_decide(&source, &destination);
}

static enum owner expected(char letter)
{
    return letter == 'S' ? OWNER_SOURCE : letter == 'D' ? OWNER_DESTINATION : OWNER_UNDECIDED;
}

static void every_pair(void **state)
{
    for (int left = 0; left < JOURNAL_STEPS; left++) {
        for (int right = 0; right < JOURNAL_STEPS; right++) {
            struct owner_decision decision = decide(left, right);

            if (decision.owner != expected(table[left][right]))
                fail_msg("%d, %d: %s", left, right, owner_name(decision.owner));
            assert_non_null(decision.why);
            assert_int_equal(decision.check != NULL, decision.owner == OWNER_UNDECIDED);
            if (table[left][right] == 'x')
                assert_non_null(strstr(decision.check, "two files"));
            if (table[left][right] == '?')
                assert_null(strstr(decision.check, "two files"));
        }
    }
}

static void no_journal_is_a_journal_of_nothing(void **state)
{
    for (int step = 0; step < JOURNAL_STEPS; step++) {
        struct journal_state source = make(JOURNAL_SOURCE, step), destination = make(JOURNAL_DESTINATION, step);

        assert_int_equal(owner_decide(&source, NULL).owner, expected(table[step][0]));
        assert_int_equal(owner_decide(NULL, &destination).owner, expected(table[0][step]));
    }
    assert_int_equal(owner_decide(NULL, NULL).owner, OWNER_UNDECIDED);
}

/* What a side may do by itself is never taken back when the other's journal comes. */
static void what_one_side_decides_stands(void **state)
{
    for (int left = 0; left < JOURNAL_STEPS; left++) {
        for (int right = 0; right < JOURNAL_STEPS; right++) {
            enum owner both = decide(left, right).owner, source = decide(left, 0).owner,
                       destination = decide(0, right).owner;

            if (both == OWNER_UNDECIDED)
                continue;
            assert_true(source == OWNER_UNDECIDED || source == both);
            assert_true(destination == OWNER_UNDECIDED || destination == both);
        }
    }
}

static void strangers_decide_nothing(void **state)
{
    struct journal_state source = make(JOURNAL_SOURCE, JOURNAL_COMMITTED);
    struct journal_state destination = make(JOURNAL_DESTINATION, JOURNAL_READY);

    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_DESTINATION);
    assert_int_equal(owner_decide(&destination, &source).owner, OWNER_UNDECIDED);
    assert_int_equal(owner_decide(&source, &source).owner, OWNER_UNDECIDED);
    destination.session[15]++;
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_UNDECIDED);
    destination.session[15]--;
    destination.token[15]++;
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_UNDECIDED);
    destination = make(JOURNAL_DESTINATION, JOURNAL_ABORTED);
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_SOURCE);
    destination.has_token = false; /* a replay was refused by a destination that had forgotten the session */
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_UNDECIDED);
    source = make(JOURNAL_SOURCE, JOURNAL_STEPS);
    assert_int_equal(owner_decide(&source, NULL).owner, OWNER_UNDECIDED);
}

/* Nothing is decided for the source while the other outcome is still open. */
static void a_living_session_decides_itself(void **state)
{
    struct journal_state source = make(JOURNAL_SOURCE, JOURNAL_PREPARED);
    struct journal_state destination = make(JOURNAL_DESTINATION, JOURNAL_STARTED);

    source.in_use = true;
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_UNDECIDED);
    assert_int_equal(owner_decide(&source, NULL).owner, OWNER_UNDECIDED);
    destination.in_use = true;
    assert_int_equal(owner_decide(NULL, &destination).owner, OWNER_UNDECIDED);
    source.in_use = false; /* it ended before it committed, and will not */
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_SOURCE);
    source = make(JOURNAL_SOURCE, JOURNAL_COMMITTED);
    source.in_use = true;
    destination = make(JOURNAL_DESTINATION, JOURNAL_ABORTED);
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_SOURCE);
    destination = make(JOURNAL_DESTINATION, JOURNAL_READY);
    assert_int_equal(owner_decide(&source, &destination).owner, OWNER_DESTINATION);
}

/* Whatever a side is to note is what the decision says, follows its last step, and settles it. */
static void what_a_side_is_to_note(void **state)
{
    for (int left = 0; left < JOURNAL_STEPS; left++) {
        for (int right = 0; right < JOURNAL_STEPS; right++) {
            struct journal_state source = make(JOURNAL_SOURCE, left), destination = make(JOURNAL_DESTINATION, right);
            enum owner owner = decide(left, right).owner;
            enum journal_step here = owner_next(&source, &destination), there = owner_next(&destination, &source);

            source.in_use = destination.in_use = false;
            if (here == JOURNAL_ABORTED)
                assert_true(owner == OWNER_SOURCE && left >= 1 && left <= 3);
            else if (here == JOURNAL_DONE)
                assert_true(owner == OWNER_DESTINATION && left == 3 && right == 4);
            else
                assert_true(here == JOURNAL_NOTHING && (left < 1 || left > 3 || owner != OWNER_SOURCE));
            if (there == JOURNAL_ABORTED)
                assert_true(owner == OWNER_SOURCE && (right == 1 || right == 2));
            else if (there == JOURNAL_COMMITTED)
                assert_true(owner == OWNER_DESTINATION && right == 2);
            else
                assert_true(there == JOURNAL_NOTHING && (right < 1 || right > 2 || owner == OWNER_UNDECIDED));
            if (here != JOURNAL_NOTHING)
                assert_int_equal(decide(here, right).owner, owner);
            if (there != JOURNAL_NOTHING && left != JOURNAL_NOTHING)
                assert_int_equal(decide(left, there).owner, owner);
        }
    }
}

static void a_side_holds_its_own_journal_while_it_decides(void **state)
{
    struct journal_state source = make(JOURNAL_SOURCE, JOURNAL_PREPARED);
    struct journal_state destination = make(JOURNAL_DESTINATION, JOURNAL_READY);

    destination.in_use = true;
    assert_int_equal(owner_next(&destination, &source), JOURNAL_ABORTED);
    source.in_use = true;
    assert_int_equal(owner_next(&destination, &source), JOURNAL_NOTHING);
    destination = make(JOURNAL_DESTINATION, JOURNAL_ABORTED);
    assert_int_equal(owner_next(&source, &destination), JOURNAL_ABORTED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(no_journal_is_a_journal_of_nothing),
        cmocka_unit_test(what_one_side_decides_stands),
        cmocka_unit_test(strangers_decide_nothing),
        cmocka_unit_test(a_living_session_decides_itself),
        cmocka_unit_test(what_a_side_is_to_note),
        cmocka_unit_test(a_side_holds_its_own_journal_while_it_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
