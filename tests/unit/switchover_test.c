/* SPDX-License-Identifier: BSD-3-Clause */
/* switchover_test.c - exactly one side runs the guest: declined, cut off, in doubt, settled, reverted */
#include "switchover_fixture.h"
#include "userfault.h"

#include <ferry/codes.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- while both live ------------------------------------------------------------------------------------------- */

static void both_note_every_step(void **state)
{
    struct journal_state source, destination;

    assert_ends(0, 0);
    assert_runs(false, true);
    assert_int_equal(there.count, 42);
    assert_int_equal(journal_read(here.journal, &source, &err), 0);
    assert_int_equal(journal_read(there.journal, &destination, &err), 0);
    assert_int_equal(source.step, JOURNAL_DONE);
    assert_int_equal(destination.step, JOURNAL_RUNNING);
    assert_memory_equal(source.session, destination.session, JOURNAL_ID_BYTES);
    assert_memory_equal(source.token, destination.token, JOURNAL_TOKEN_BYTES);
    assert_false(source.in_use || destination.in_use);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NEVER_RAN, &err), -EBUSY);
    assert_int_equal(ferry_session_revert(there.session, FERRY_WORD_NEVER_RAN, &err), -EINVAL);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), -EINVAL);
    assert_runs(false, true);
}

static void a_guest_that_cannot_start_there_goes_on_here(void **state)
{
    there.cannot_start = true;
    assert_ends(-EIO, -EIO);
    assert_non_null(strstr(err.text, "no processor is free"));
    assert_int_equal(err.code, FERRY_E_GUEST_NOT_STARTED);
    assert_int_equal(phase_of(&here), FERRY_PHASE_FAILED);
    assert_runs(true, false);
    assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
}

static void without_journals_the_same_holds(void **state)
{
    set_both("journal", "");
    there.cannot_start = true;
    assert_ends(-EIO, -EIO);
    assert_runs(true, false);
    assert_int_equal(access(here.journal, F_OK), -1);
}

static void a_ready_destination_that_is_cancelled_gives_the_guest_back(void **state)
{
    there.at = "ready-sent";
    there.cancel = true;
    migrate_and_ignore();
    assert_int_equal(phase_of(&there), FERRY_PHASE_CANCELLED);
    assert_int_equal(phase_of(&here), FERRY_PHASE_FAILED);
    assert_runs(true, false);
    assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
}

/* ---- notes that fail ------------------------------------------------------------------------------------------- */

static void a_doubtful_note_is_made_again(void **state)
{
    static const struct {
        bool source;
        const char *at;
    } rows[] = {
        { true, "note-prepared" }, { true, "note-committed" }, { false, "note-ready" }, { false, "note-committed" }
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct end *end = rows[i].source ? &here : &there;

        anew(state, i > 0);
        end->at = rows[i].at;
        end->syncs = 1;
        assert_ends(0, 0);
        assert_runs(false, true);
        assert_journals(JOURNAL_DONE, JOURNAL_RUNNING);
    }
}

static void a_commit_in_doubt_is_called_off(void **state)
{
    here.at = "note-committed";
    here.syncs = 2;
    assert_ends(-EIO, -EIO);
    assert_int_equal(err.code, FERRY_E_JOURNAL);
    assert_int_equal(phase_of(&here), FERRY_PHASE_FAILED);
    assert_runs(true, false);
    assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
}

static void a_destination_that_cannot_note_gives_up(void **state)
{
    static const char *const moments[] = { "note-ready", "note-committed" };

    for (size_t i = 0; i < 2; i++) {
        anew(state, i > 0);
        there.at = moments[i];
        there.syncs = 2;
        assert_ends(-EIO, -EIO);
        assert_int_equal(err.code, FERRY_E_JOURNAL);
        assert_runs(true, false);
        assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
    }
}

/* Committed and aborted are both in doubt: nobody runs, until the note succeeds. */
static void what_stays_in_doubt_is_settled_later(void **state)
{
    there.at = "note-committed";
    there.syncs = 4;
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_runs(false, false);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), 0);
    assert_int_equal(step_of(&there), JOURNAL_ABORTED);
    assert_runs(false, false);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), 0);
    assert_runs(true, false);
    assert_int_equal(phase_of(&here), FERRY_PHASE_FAILED);
}

/* ---- a connection that goes at the worst moment ---------------------------------------------------------------- */

static void cut_at(const char *step)
{
    here.at = step;
    here.cut = true;
}

static void before_the_commit_the_source_goes_on_and_the_destination_waits(void **state)
{
    int source, destination;

    there.at = "ready";
    there.cut = true;
    migrate(&source, &destination);
    assert_true(source < 0 && source != -EOWNERDEAD);
    assert_int_equal(destination, -EOWNERDEAD);
    assert_runs(true, false);
    assert_journals(JOURNAL_ABORTED, JOURNAL_READY);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), 0);
    assert_int_equal(phase_of(&there), FERRY_PHASE_FAILED);
    assert_runs(true, false);
    assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
}

static void after_the_commit_the_journals_decide(void **state)
{
    cut_at("committed");
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_int_equal(err.code, FERRY_E_UNCERTAIN);
    assert_int_equal(phase_of(&there), FERRY_PHASE_UNCERTAIN);
    assert_runs(false, false);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), -EAGAIN);
    assert_int_equal(ferry_session_settle(there.session, there.journal, &err), -EINVAL);
    assert_int_equal(ferry_session_settle(there.session, "/nowhere/to/be/found", &err), -ENOENT);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), 0);
    assert_runs(false, true);
    assert_int_equal(there.told, FERRY_MIGRATION_COMPLETED);
    assert_int_equal(phase_of(&there), FERRY_PHASE_COMPLETED);
    assert_int_equal(ferry_session_wait(there.session, 0, NULL), 0);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), 0);
    assert_int_equal(phase_of(&here), FERRY_PHASE_COMPLETED);
    assert_runs(false, true);
    assert_journals(JOURNAL_DONE, JOURNAL_RUNNING);
}

static void the_destination_may_give_it_back_instead(void **state)
{
    cut_at("committed");
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_int_equal(ferry_session_revert(there.session, FERRY_WORD_NONE, &err), 0);
    assert_int_equal(there.told, FERRY_MIGRATION_NONE);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), -EINVAL);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), 0);
    assert_runs(true, false);
    assert_int_equal(phase_of(&here), FERRY_PHASE_FAILED);
    assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
}

static void a_start_that_fails_when_settled_gives_it_back(void **state)
{
    cut_at("committed");
    there.cannot_start = true;
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), -EIO);
    assert_int_equal(phase_of(&there), FERRY_PHASE_FAILED);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), 0);
    assert_runs(true, false);
}

static void only_a_word_reverts_without_a_journal(void **state)
{
    cut_at("committed");
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NONE, &err), -EPERM);
    assert_runs(false, false);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NEVER_RAN, &err), 0);
    assert_runs(true, false);
    assert_int_equal(step_of(&here), JOURNAL_ABORTED);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NEVER_RAN, &err), -EINVAL);
}

static void what_was_let_go_is_gone(void **state)
{
    cut_at("committed");
    assert_int_equal(ferry_options_set(there.options, "lease", "1ns", NULL), 0);
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), -ESTALE);
    ferry_session_release(here.session);
    ferry_session_release(here.session);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NEVER_RAN, &err), -ESTALE);
    assert_runs(false, false);
    assert_journals(JOURNAL_COMMITTED, JOURNAL_READY);
}

/* ---- memory that follows --------------------------------------------------------------------------------------- */

/* All of it is still at the source. */
static void begin_postcopy(void)
{
    int fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);

    if (fd < 0)
        skip();
    close(fd);
    assert_int_equal(ferry_options_set(here.options, "postcopy", "now", NULL), 0);
    cut_at("committed");
}

static void what_is_not_whole_there_goes_on_here(void **state)
{
    int source, destination;

    begin_postcopy();
    migrate(&source, &destination);
    assert_int_equal(source, -EOWNERDEAD);
    assert_true(destination < 0 && destination != -EOWNERDEAD);
    assert_int_equal(phase_of(&there), FERRY_PHASE_FAILED);
    assert_runs(false, false);
    assert_journals(JOURNAL_COMMITTED, JOURNAL_ABORTED);
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), -EINVAL);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), 0);
    assert_runs(true, false);
}

static void what_is_not_whole_there_never_starts_there(void **state)
{
    begin_postcopy();
    there.at = "note-aborted";
    there.syncs = 2;
    assert_ends(-EOWNERDEAD, -EOWNERDEAD);
    assert_int_equal(phase_of(&there), FERRY_PHASE_UNCERTAIN);
    there.at = NULL;
    assert_int_equal(ferry_session_settle(there.session, here.journal, &err), 0);
    assert_int_equal(phase_of(&there), FERRY_PHASE_FAILED);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), 0);
    assert_runs(true, false);
    assert_journals(JOURNAL_ABORTED, JOURNAL_ABORTED);
}

static void a_journal_needs_an_answer(void **state)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 20, NULL);

    here.session = ferry_source_start(here.guest, chan, here.options, &err);
    assert_int_equal(ferry_session_wait(here.session, FERRY_NO_DEADLINE, &err), -EINVAL);
    assert_int_equal(err.code, FERRY_E_JOURNAL);
    assert_runs(true, false);
    ferry_channel_unref(chan);
}

static void in_the_plain_dialect_a_word_reverts_what_completed(void **state)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 20, NULL);

    set_both("journal", "");
    here.session = ferry_source_start(here.guest, chan, here.options, &err);
    assert_int_equal(ferry_session_wait(here.session, FERRY_NO_DEADLINE, &err), 0);
    assert_runs(false, false);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NONE, &err), -EPERM);
    assert_int_equal(ferry_session_settle(here.session, there.journal, &err), -EINVAL);
    assert_int_equal(ferry_session_revert(here.session, FERRY_WORD_NEVER_RAN, &err), 0);
    assert_runs(true, false);
    assert_int_equal(phase_of(&here), FERRY_PHASE_FAILED);
    ferry_channel_unref(chan);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(both_note_every_step),
        CASE(a_guest_that_cannot_start_there_goes_on_here),
        CASE(without_journals_the_same_holds),
        CASE(a_ready_destination_that_is_cancelled_gives_the_guest_back),
        CASE(a_doubtful_note_is_made_again),
        CASE(a_commit_in_doubt_is_called_off),
        CASE(a_destination_that_cannot_note_gives_up),
        CASE(what_stays_in_doubt_is_settled_later),
        CASE(before_the_commit_the_source_goes_on_and_the_destination_waits),
        CASE(after_the_commit_the_journals_decide),
        CASE(the_destination_may_give_it_back_instead),
        CASE(a_start_that_fails_when_settled_gives_it_back),
        CASE(only_a_word_reverts_without_a_journal),
        CASE(what_was_let_go_is_gone),
        CASE(what_is_not_whole_there_goes_on_here),
        CASE(what_is_not_whole_there_never_starts_there),
        CASE(a_journal_needs_an_answer),
        CASE(in_the_plain_dialect_a_word_reverts_what_completed),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
