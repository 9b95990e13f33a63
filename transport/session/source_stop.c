/* SPDX-License-Identifier: BSD-3-Clause */
/* source_stop.c - the guest is stopped, and, where that is asked for, waits there for a word before its state goes
 *
 *      active           | stop |                             device: last pages, devices
 *      active           | stop | pre-switchover ... continue | device: ...                option
 * pause-before-switchover the guest runs   | stands still
 *
 * As at QEMU, the guest stands still before the pause begins.  Nothing is sent meanwhile but heartbeats, and pages that
 * something other than the guest still writes go with the last ones.  The destination is watched: is it lost, the guest
 * goes on here.
 */
#include "clock.h"
#include "session.h"
#include "source_parts.h"

#include <errno.h>

#define LOOK_NS (100 * NS_PER_MS) /* how often it is seen whether the destination is still there */

int ferry_session_continue(struct ferry_session *session, struct ferry_error *err)
{
    enum ferry_phase phase;

    pthread_mutex_lock(&session->lock);
    phase = session->progress.stats.phase;
    if (phase == FERRY_PHASE_PRE_SWITCHOVER) {
        session->progress.go_on = true;
        pthread_cond_broadcast(&session->changed);
    }
    pthread_mutex_unlock(&session->lock);
    if (phase == FERRY_PHASE_PRE_SWITCHOVER)
        return 0;
    return ferry_error_set(err, -EINVAL, "the migration does not wait for a word: it is %s", ferry_phase_name(phase));
}

/* 1: the word has come.  0: look around, and wait again. */
static int wait_word(struct ferry_session *session, struct ferry_error *err)
{
    struct timespec until = clock_timespec(clock_now_ns() + LOOK_NS);
    bool cancelled, go_on;
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    while (!session->progress.cancel && !session->progress.go_on && ret == 0)
        ret = pthread_cond_timedwait(&session->changed, &session->lock, &until);
    cancelled = session->progress.cancel;
    go_on = session->progress.go_on;
    pthread_mutex_unlock(&session->lock);
    return cancelled ? ferry_error_set(err, -ECANCELED, "the migration was cancelled") : go_on;
}

static int pause_here(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    int ret = session_enter(session, FERRY_PHASE_PRE_SWITCHOVER, err);

    if (ret == 0)
        ret = departure_paused(&source->departure, err);
    source_peer_lend(&source->peer);
    while (ret == 0) {
        ret = source_peer_status(&source->peer, err);
        if (ret == 0)
            ret = wait_word(session, err);
    }
    source_peer_claim(&source->peer);
    session_note_step(session, SESSION_GOES_ON);
    return ret == 1 ? session_enter(session, FERRY_PHASE_DEVICE, err) : ret;
}

int source_stop(struct source *source, struct ferry_error *err)
{
    struct ferry_session *session = source->session;
    bool pause = session->options.pause_before_switchover;
    int ret = pause ? 0 : session_enter(session, FERRY_PHASE_DEVICE, err);

    if (ret == 0)
        ret = source_peer_about_to_stop(&source->peer, err);
    if (ret < 0)
        return ret;
    session_note_step(session, SESSION_STOPPING);
    source->stopped = true;
    source_peer_lend(&source->peer);
    ret = guest_stop(source->guest, err);
    source_peer_claim(&source->peer);
    session_note_step(session, SESSION_STOPPED);
    session_at(session, "stopped");
    if (ret == 0 && pause)
        ret = pause_here(source, err);
    return ret == 0 ? departure_stopped(&source->departure, err) : ret;
}
