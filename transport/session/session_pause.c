/* SPDX-License-Identifier: BSD-3-Clause */
/* session_pause.c - a postcopy that was interrupted: its thread keeps everything and sleeps until it may go on
 *
 *      session's thread   runs -> it broke: session_pause() -> session_await_resume() -> attempt -> session_resumed()
 *                                                    ^                 ^                    |
 *      any other thread            pause: breaks it -'                 |                    |
 *                                  resume, recover: wake it -----------'<--- that failed ---'
 *                                  cancel: no more attempts; free: quit
 *
 * Session and memory stay the session thread's all the time, so nothing changes hands.  Who waits for the session
 * (ferry_session_wait()) waits while it tries by itself, and returns when only somebody else can say how to go on.
 */
#include "clock.h"
#include "gather.h"
#include "log.h"
#include "phase.h"
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_NS (50 * NS_PER_MS) /* between two attempts; doubled each time */
#define RETRY_LAST_NS  NS_PER_SEC

/* ---- the session's thread ---------------------------------------------------------------------------------------- */

static uint64_t moved_pages(const struct ferry_stats *stats)
{
    return stats->ram.normal_pages + stats->ram.zero_pages;
}

/* With the lock held.  An interruption behind which something moved has all of its time to itself. */
static void begin_pause(struct ferry_session *session)
{
    struct session_pause *pause = &session->pause;
    struct ferry_stats *stats = &session->progress.stats;

    if (stats->phase == FERRY_PHASE_POSTCOPY_ACTIVE) {
        pause->since_ns = clock_now_ns();
        if (pause->until_ns == 0 || moved_pages(stats) > pause->pages) {
            pause->until_ns = pause->since_ns + (int64_t)session->options.postcopy_retry_ns;
            pause->tries = 0;
        }
        pause->pages = moved_pages(stats);
    }
    stats->phase = FERRY_PHASE_POSTCOPY_PAUSED; /* from wherever it was in an attempt */
    pthread_cond_broadcast(&session->changed);
}

void session_pause(struct ferry_session *session, struct ferry_error *why)
{
    session_shut_down(session, FERRY_READ_WRITE);
    session_drop_channels(session);
    pthread_mutex_lock(&session->lock);
    session->others.shut = session->pause.quit;
    if (session->pause.asked)
        ferry_error_set_code(why, FERRY_E_POSTCOPY_INTERRUPTED, -ENOTRECOVERABLE, "%s",
                             "postcopy was paused on demand: the guest is at the destination, some of its memory still "
                             "at the source");
    why->errnum = -ENOTRECOVERABLE;
    session->progress.error = *why;
    begin_pause(session);
    pthread_mutex_unlock(&session->lock);
    log_warn(LOG_SESSION, "%s", why->text);
}

/* With the lock held: when it is to be tried next without being told to; negative: never. */
static int64_t next_try_ns(const struct ferry_session *session, bool knows)
{
    const struct session_pause *pause = &session->pause;
    int64_t now_ns = clock_now_ns(), wait_ns = RETRY_FIRST_NS << (pause->tries < 5 ? pause->tries : 5);

    if (!knows || pause->asked || session->options.postcopy_retry_ns == 0 || now_ns >= pause->until_ns)
        return -1;
    return now_ns + (wait_ns < RETRY_LAST_NS ? wait_ns : RETRY_LAST_NS);
}

/* With the lock held: go on as was said. */
static void take_told(struct ferry_session *session)
{
    struct session_pause *pause = &session->pause;

    pause->by_hand = pause->told;
    pause->told = false;
    if (pause->uri) {
        free(session->uri);
        session->uri = pause->uri;
    }
    if (pause->listener) {
        ferry_listener_free(session->door.listener);
        session->door.listener = pause->listener;
        session->door.timeout_ms = -1;
    } else {
        session->door.timeout_ms = (int)clock_left_ms(pause->until_ns);
    }
    pause->uri = NULL;
    pause->listener = NULL;
}

int session_await_resume(struct ferry_session *session, bool knows)
{
    struct session_pause *pause = &session->pause;
    int64_t until_ns;
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    until_ns = next_try_ns(session, knows);
    pause->sleeps = true;
    while (!pause->quit && !pause->told && (until_ns < 0 || ret != ETIMEDOUT)) {
        struct timespec when = clock_timespec(until_ns);

        if (pause->asked)
            until_ns = -1;
        pause->waits = until_ns < 0;
        pthread_cond_broadcast(&session->changed);
        if (until_ns < 0)
            pthread_cond_wait(&session->changed, &session->lock);
        else
            ret = pthread_cond_timedwait(&session->changed, &session->lock, &when);
    }
    pause->sleeps = false;
    pause->tries++;
    if (!pause->quit) {
        pause->waits = false;
        take_told(session);
    }
    ret = pause->quit ? -ENOTRECOVERABLE : 0;
    pthread_mutex_unlock(&session->lock);
    return ret;
}

void session_replace(struct ferry_session *session, struct ferry_channel *chan)
{
    struct ferry_channel *before = session->chan;

    pthread_mutex_lock(&session->lock);
    session->chan = chan;
    if (session->others.shut)
        ferry_channel_shutdown(chan, FERRY_READ_WRITE);
    pthread_mutex_unlock(&session->lock);
    ferry_channel_unref(before);
}

int session_resumed(struct ferry_session *session, struct ferry_error *err)
{
    struct session_pause *pause = &session->pause;
    struct ferry_postcopy_stats *stats = &session->progress.stats.postcopy;
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    if (pause->asked || pause->quit) {
        ret = ferry_error_set(err, -ECANCELED, "it was called off");
    } else {
        stats->resumed++;
        stats->broken_ns += clock_now_ns() - pause->since_ns;
        memset(&session->progress.error, 0, sizeof(session->progress.error));
        session->progress.stats.phase = FERRY_PHASE_POSTCOPY_ACTIVE;
        pthread_cond_broadcast(&session->changed);
    }
    pthread_mutex_unlock(&session->lock);
    return ret;
}

/* ---- any thread -------------------------------------------------------------------------------------------------- */

static bool is_interrupted(enum ferry_phase phase)
{
    return phase == FERRY_PHASE_POSTCOPY_PAUSED || phase == FERRY_PHASE_POSTCOPY_RECOVER_SETUP ||
           phase == FERRY_PHASE_POSTCOPY_RECOVER;
}

bool session_called_off(const struct ferry_session *session)
{
    return session->progress.cancel || session->pause.quit ||
           ((session->pause.asked || session->pause.told) && is_interrupted(session->progress.stats.phase));
}

/* With the lock held: nobody waits at the door any more. */
static void leave_door(struct ferry_session *session)
{
    if (session->door.gather)
        gather_cancel(session->door.gather);
    if (session->door.awaited)
        ferry_listener_stop(session->door.listener);
}

void session_pause_call_off(struct ferry_session *session)
{
    if (!is_interrupted(session->progress.stats.phase))
        return;
    session->pause.asked = true;
    leave_door(session);
    session->others.shut = true;
    for (unsigned i = 0; i < session->others.count; i++)
        ferry_channel_shutdown(session->others.chan[i], FERRY_READ_WRITE);
    if (session->progress.stats.phase == FERRY_PHASE_POSTCOPY_RECOVER)
        ferry_channel_shutdown(session->chan, FERRY_READ_WRITE);
    pthread_cond_broadcast(&session->changed);
}

int ferry_session_pause(struct ferry_session *session, struct ferry_error *err)
{
    enum ferry_phase phase;

    pthread_mutex_lock(&session->lock);
    phase = session->progress.stats.phase;
    if (phase == FERRY_PHASE_POSTCOPY_RECOVER)
        session_pause_call_off(session);
    else if (phase == FERRY_PHASE_POSTCOPY_ACTIVE)
        session->pause.asked = true;
    pthread_mutex_unlock(&session->lock);
    if (phase == FERRY_PHASE_POSTCOPY_ACTIVE)
        session_shut_down(session, FERRY_READ_WRITE);
    else if (phase != FERRY_PHASE_POSTCOPY_RECOVER)
        return ferry_error_set(err, -EINVAL, "only a postcopy that runs can be paused; this migration is %s",
                               ferry_phase_name(phase));
    return 0;
}

/* With the lock held: may it be told to go on now? */
static int may_go_on(const struct ferry_session *session, struct ferry_error *err)
{
    enum ferry_phase phase = session->progress.stats.phase;

    if (session->progress.ended || !is_interrupted(phase))
        return ferry_error_set(err, -EINVAL, "only a postcopy that is paused can go on; this migration is %s",
                               ferry_phase_name(phase));
    if (phase != FERRY_PHASE_POSTCOPY_PAUSED || session->pause.told ||
        (!session->pause.sleeps && session->pause.by_hand))
        return ferry_error_set(err, -EBUSY, "it is being tried already");
    return 0;
}

/* With the lock held: wake it, or end what it tries by itself. */
static void go_on(struct ferry_session *session)
{
    if (!session->pause.sleeps)
        leave_door(session);
    session->pause.told = true;
    session->pause.asked = session->pause.waits = false;
    session->others.shut = false;
    pthread_cond_broadcast(&session->changed);
}

int ferry_session_resume(struct ferry_session *session, const char *uri, struct ferry_error *err)
{
    char *copy = strdup(uri);
    int ret;

    if (!copy)
        return ferry_error_set(err, -ENOMEM, "no memory for an address");
    pthread_mutex_lock(&session->lock);
    ret = may_go_on(session, err);
    if (ret == 0 && !session->is_source)
        ret = ferry_error_set(err, -EPERM, "the source resumes, this is the destination");
    if (ret == 0) {
        session->pause.uri = copy;
        copy = NULL;
        go_on(session);
    }
    pthread_mutex_unlock(&session->lock);
    free(copy);
    return ret;
}

int ferry_session_recover(struct ferry_session *session, struct ferry_listener *listener, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&session->lock);
    ret = may_go_on(session, err);
    if (ret == 0 && session->is_source)
        ret = ferry_error_set(err, -EPERM, "the destination recovers, this is the source");
    if (ret == 0) {
        session->pause.listener = listener;
        go_on(session);
    }
    pthread_mutex_unlock(&session->lock);
    return ret;
}
