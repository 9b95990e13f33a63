/* SPDX-License-Identifier: BSD-3-Clause */
/* settle.c - what an end left undecided is decided: by the other side's journal, or by an operator's word
 *
 *      source      uncertain   destination's journal: aborted  -> note aborted, start     running -> note done
 *      destination undecided   source's journal: committed     -> note committed, start   else    -> note aborted
 *                  incomplete  whatever it says                -> note aborted
 *
 * By docs/switchover.md's rules alone: each side decides by its own notes as they are now, and of the other's uses only
 * what can no longer change.
 */
#include "clock.h"
#include "guest_parts.h"
#include "log.h"
#include "owner.h"
#include "session.h"

#include <errno.h>

static enum ferry_side side_of(const struct ferry_session *session)
{
    return session->is_source ? FERRY_SIDE_SOURCE : FERRY_SIDE_DESTINATION;
}

/* Is there an end, and is the guest still here as it left it? */
static int check_kept(struct ferry_session *session, enum ferry_phase *phase, struct ferry_error *err)
{
    bool ended;

    pthread_mutex_lock(&session->lock);
    ended = session->progress.ended;
    *phase = session->progress.stats.phase;
    pthread_mutex_unlock(&session->lock);
    if (!ended)
        return ferry_error_set(err, -EINVAL, "the migration goes on: there is nothing to settle yet");
    if (session->left.let_go || (session->left.until_ns >= 0 && clock_now_ns() >= session->left.until_ns))
        return ferry_error_set(err, -ESTALE, "the guest was let go here after the migration");
    return 0;
}

/* The guest goes on at this side.  The note that allows it is made. */
static int start_here(struct ferry_session *session, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    int ret;

    if (session->is_source)
        session_at(session, "restarting");
    ret = guest_start(session->guest, err);
    if (ret < 0 || session->is_source)
        return ret;
    session_at(session, "guest-started");
    if (notes_add(&session->notes, JOURNAL_RUNNING, NULL, &why) < 0)
        log_warn(LOG_SESSION, "the guest runs, but that could not be noted: %s", why.text);
    return 0;
}

/* At the destination nothing of it has run: so it can still be given up. */
static void give_up_start(struct ferry_session *session)
{
    struct ferry_error why = { 0 };

    if (!session->is_source && notes_abort(&session->notes, &why) < 0)
        log_warn(LOG_SESSION, "the guest could not be started, and that could not be noted: %s", why.text);
}

/* @step was noted: what it allows is done, and the session ends anew. */
static int carry_out(struct ferry_session *session, enum journal_step step, struct ferry_error *err)
{
    bool runs_here = step == (session->is_source ? JOURNAL_ABORTED : JOURNAL_COMMITTED);
    struct ferry_error end = { 0 };
    bool completed;
    int ret = 0;

    if (runs_here)
        ret = start_here(session, err);
    if (ret < 0)
        give_up_start(session);
    completed = ret == 0 && step != JOURNAL_ABORTED;
    if (ret < 0)
        end = *err;
    else if (!completed)
        ferry_error_set_code(&end, FERRY_E_GUEST_NOT_STARTED, -ECONNABORTED, "the guest never runs at the destination");
    session_end_anew(session, &end);
    notify_end(&session->guest->notifiers, side_of(session), completed, ret == 0 && runs_here);
    notes_end(&session->notes);
    return ret;
}

/* What is in doubt is noted once more, or, where the guest cannot go on, that it is given up.  1: and that decides. */
static int insist(struct ferry_session *session, struct ferry_error *err)
{
    struct notes *notes = &session->notes;
    enum journal_step step = session->left.incomplete ? JOURNAL_ABORTED : notes->state.step;
    int ret;

    if (!notes_doubtful(notes))
        return 0;
    ret = notes_add(notes, step, step == JOURNAL_ABORTED ? NULL : notes->state.token, err);
    if (ret < 0)
        return ret;
    return step == JOURNAL_ABORTED || (!session->is_source && step == JOURNAL_COMMITTED);
}

static int settle(struct ferry_session *session, const char *other_journal, struct ferry_error *err)
{
    struct notes *notes = &session->notes;
    struct journal_state other;
    enum journal_step next;
    enum ferry_phase phase;
    int ret = check_kept(session, &phase, err);

    if (ret < 0)
        return ret;
    if (phase != FERRY_PHASE_UNCERTAIN || notes->state.step == JOURNAL_NOTHING)
        return ferry_error_set(err, -EINVAL, "no journal can decide anything here");
    ret = insist(session, err);
    if (ret < 0)
        return ret;
    if (ret > 0)
        return carry_out(session, notes->state.step, err);
    ret = journal_read(other_journal, &other, err);
    if (ret < 0)
        return ret;
    if (other.role == notes->state.role)
        return ferry_error_set(err, -EINVAL, "%s: the journal of this side, not of the other", other_journal);
    next = owner_next(&notes->state, &other);
    if (next == JOURNAL_NOTHING)
        return ferry_error_set(err, -EAGAIN, "%s: does not tell yet who may run the guest", other_journal);
    if (session->left.incomplete)
        next = JOURNAL_ABORTED;
    ret = notes_add(notes, next, next == JOURNAL_COMMITTED ? notes->state.token : NULL, err);
    return ret < 0 ? ret : carry_out(session, next, err);
}

int ferry_session_settle(struct ferry_session *session, const char *other_journal, struct ferry_error *err)
{
    struct ferry_error mute;
    int ret;

    pthread_mutex_lock(&session->left.lock);
    ret = settle(session, other_journal, err ? err : &mute);
    pthread_mutex_unlock(&session->left.lock);
    return ret;
}

/* May the source have its guest back on somebody's word? */
static int check_word(const struct ferry_session *session, enum ferry_phase phase, enum ferry_word word,
                      struct ferry_error *err)
{
    if (phase == FERRY_PHASE_COMPLETED && session->notes.state.step != JOURNAL_NOTHING)
        return ferry_error_set(err, -EBUSY, "the guest has run at the destination, and its disks are there now");
    if (word != FERRY_WORD_NEVER_RAN)
        return ferry_error_set(err, -EPERM, "only who knows that the guest never ran at the destination can say so");
    return 0;
}

static int revert(struct ferry_session *session, enum ferry_word word, struct ferry_error *err)
{
    enum ferry_phase phase;
    int ret = check_kept(session, &phase, err);

    if (ret < 0)
        return ret;
    if (phase != FERRY_PHASE_UNCERTAIN && !(session->is_source && phase == FERRY_PHASE_COMPLETED))
        return ferry_error_set(err, -EINVAL, "there is nothing to revert");
    if (session->is_source)
        ret = check_word(session, phase, word, err);
    if (ret == 0)
        ret = notes_abort(&session->notes, err);
    return ret < 0 ? ret : carry_out(session, JOURNAL_ABORTED, err);
}

int ferry_session_revert(struct ferry_session *session, enum ferry_word word, struct ferry_error *err)
{
    struct ferry_error mute;
    int ret;

    pthread_mutex_lock(&session->left.lock);
    ret = revert(session, word, err ? err : &mute);
    pthread_mutex_unlock(&session->left.lock);
    return ret;
}

void ferry_session_release(struct ferry_session *session)
{
    enum ferry_phase phase;

    pthread_mutex_lock(&session->left.lock);
    if (check_kept(session, &phase, NULL) != -EINVAL && !session->left.let_go) {
        session->left.let_go = true;
        if (phase == FERRY_PHASE_UNCERTAIN && !session->is_source) /* they have not been told how it ended */
            notify_end(&session->guest->notifiers, FERRY_SIDE_DESTINATION, false, false);
        notes_end(&session->notes);
    }
    pthread_mutex_unlock(&session->left.lock);
}
