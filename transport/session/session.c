/* SPDX-License-Identifier: BSD-3-Clause */
/* session.c - what both sides of a migration have in common: a thread, a phase, figures, an end
 *
 * Cancelling is a flag and two wakes: the bandwidth limit lets everybody through and the channel is shut down, so that
 * whatever the session's thread is inside returns; the run function then undoes what it did on its own thread.
 */
#include "session.h"

#include "clock.h"
#include "log.h"
#include "phase.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void note_times(struct ferry_session *session, struct ferry_stats *stats)
{
    stats->time.total_ns = clock_now_ns() - session->started_ns;
    stats->time.cpu_ns = clock_cpu_ns() - session->started_cpu_ns;
}

/* Called with the lock held. */
static int move_to(struct ferry_session *session, enum ferry_phase to, struct ferry_error *err)
{
    struct ferry_stats *stats = &session->progress.stats;

    if (!phase_allowed(stats->phase, to))
        return ferry_error_set(err, -EINVAL, "a migration cannot go from %s to %s", ferry_phase_name(stats->phase),
                               ferry_phase_name(to));
    log_debug(LOG_SESSION, "%s -> %s", ferry_phase_name(stats->phase), ferry_phase_name(to));
    stats->phase = to;
    pthread_cond_broadcast(&session->changed);
    return 0;
}

static int cancelled_error(struct ferry_error *err)
{
    return ferry_error_set(err, -ECANCELED, "the migration was cancelled");
}

int session_enter(struct ferry_session *session, enum ferry_phase phase, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&session->lock);
    ret = session->progress.cancel ? cancelled_error(err) : move_to(session, phase, err);
    pthread_mutex_unlock(&session->lock);
    return ret;
}

int session_commit(struct ferry_session *session, struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    session->progress.committed = true;
    if (session->progress.cancel)
        ret = cancelled_error(err);
    pthread_mutex_unlock(&session->lock);
    return ret;
}

struct ferry_stats *session_stats_lock(struct ferry_session *session)
{
    pthread_mutex_lock(&session->lock);
    return &session->progress.stats;
}

void session_stats_unlock(struct ferry_session *session)
{
    pthread_mutex_unlock(&session->lock);
}

void session_note_peer(struct ferry_session *session, const char *dialect, uint64_t protocol, uint64_t device)
{
    struct ferry_stats *stats = session_stats_lock(session);

    snprintf(stats->peer.dialect, sizeof(stats->peer.dialect), "%s", dialect);
    stats->peer.protocol = protocol;
    stats->peer.device = device;
    session_stats_unlock(session);
}

int session_result(int ret, const struct ferry_error *err)
{
    return ret < 0 && err->errnum < 0 ? err->errnum : ret;
}

void session_note_step(struct ferry_session *session, enum session_step step)
{
    int64_t *at = session->steps_ns;
    struct ferry_stats *stats;

    at[step] = clock_now_ns();
    for (int i = step + 1; i < SESSION_STEPS; i++)
        at[i] = at[step];
    stats = session_stats_lock(session);
    stats->time.downtime_ns = at[SESSION_RUNNING] - at[SESSION_STOPPING];
    stats->downtime.stop_ns = at[SESSION_STOPPED] - at[SESSION_STOPPING];
    stats->downtime.pages_ns = at[SESSION_PAGES_PUT] - at[SESSION_STOPPED];
    stats->downtime.devices_ns = at[SESSION_SENT] - at[SESSION_PAGES_PUT];
    stats->downtime.load_ns = at[SESSION_READY] - at[SESSION_SENT];
    stats->downtime.start_ns = at[SESSION_RUNNING] - at[SESSION_READY];
    session_stats_unlock(session);
}

void session_error_where(struct ferry_session *session, enum ferry_side side, struct ferry_error *err)
{
    enum ferry_phase phase = session_stats_lock(session)->phase;

    session_stats_unlock(session);
    ferry_error_where(err, side, ferry_phase_name(phase));
}

/* The run function has returned: one of the final phases, and the reason. */
static void finish(struct ferry_session *session, int ret, const struct ferry_error *why)
{
    struct session_progress *progress = &session->progress;

    pthread_mutex_lock(&session->lock);
    note_times(session, &progress->stats);
    if (ret == 0) {
        move_to(session, FERRY_PHASE_COMPLETED, NULL);
    } else if (ret == -EOWNERDEAD) {
        progress->error = *why;
        move_to(session, FERRY_PHASE_UNCERTAIN, NULL);
    } else if (progress->cancel) {
        cancelled_error(&progress->error);
        ferry_error_where(&progress->error, why->side, ferry_phase_name(progress->stats.phase));
        move_to(session, FERRY_PHASE_CANCELLED, NULL);
    } else {
        progress->error = *why;
        progress->error.errnum = ret;
        move_to(session, FERRY_PHASE_FAILED, NULL);
    }
    progress->ended = true;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

static void *session_thread(void *opaque)
{
    struct ferry_session *session = opaque;
    struct ferry_error err = { 0 };
    int ret = session->run(session, &err);

    finish(session, ret, &err);
    return NULL;
}

static void destroy(struct ferry_session *session)
{
    ratelimit_free(session->limit);
    ferry_channel_unref(session->chan);
    pthread_cond_destroy(&session->changed);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

static void init_lock(struct ferry_session *session)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&session->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&session->changed, &attr);
    pthread_condattr_destroy(&attr);
}

/* Options are the caller's, or the defaults. */
static int take_options(struct ferry_session *session, const struct ferry_options *options)
{
    struct ferry_options *defaults;

    if (options) {
        session->options = *options;
        return 0;
    }
    defaults = ferry_options_new();
    if (!defaults)
        return -ENOMEM;
    session->options = *defaults;
    ferry_options_free(defaults);
    return 0;
}

struct ferry_session *session_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                    const struct ferry_options *options,
                                    int (*run)(struct ferry_session *session, struct ferry_error *err),
                                    struct ferry_error *err)
{
    struct ferry_session *session = calloc(1, sizeof(*session));
    int ret = -ENOMEM;

    if (!session) {
        ferry_error_set(err, ret, "no memory for a session");
        return NULL;
    }
    init_lock(session);
    session->guest = guest;
    session->chan = ferry_channel_ref(chan);
    session->run = run;
    session->started_ns = clock_now_ns();
    session->started_cpu_ns = clock_cpu_ns();
    session->progress.stats.phase = FERRY_PHASE_SETUP;
    snprintf(session->progress.stats.channel, sizeof(session->progress.stats.channel), "%s", ferry_channel_label(chan));
    if (take_options(session, options) < 0)
        goto fail;
    atomic_init(&session->downtime_limit_ns, session->options.downtime_limit_ns);
    atomic_init(&session->give_up_after, session->options.give_up_after);
    session->limit = ratelimit_new(session->options.max_bandwidth);
    if (!session->limit)
        goto fail;
    ret = -pthread_create(&session->thread, NULL, session_thread, session);
    if (ret == 0)
        return session;
fail:
    ferry_error_set(err, ret, "cannot start a session: %s", ret == -ENOMEM ? "no memory" : "no thread");
    destroy(session);
    return NULL;
}

int ferry_session_wait(struct ferry_session *session, int timeout_ms, struct ferry_error *err)
{
    int64_t deadline = clock_deadline_ns(timeout_ms);
    struct timespec when = clock_timespec(deadline);
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    while (!session->progress.ended && ret != ETIMEDOUT) {
        if (deadline < 0)
            pthread_cond_wait(&session->changed, &session->lock);
        else
            ret = pthread_cond_timedwait(&session->changed, &session->lock, &when);
    }
    if (!session->progress.ended) {
        ret = ferry_error_set(err, -ETIMEDOUT, "the migration goes on");
    } else {
        ret = session->progress.error.errnum;
        if (ret < 0 && err)
            *err = session->progress.error;
    }
    pthread_mutex_unlock(&session->lock);
    return ret;
}

void ferry_session_cancel(struct ferry_session *session)
{
    struct session_progress *progress = &session->progress;
    bool now = false;

    pthread_mutex_lock(&session->lock);
    if (!progress->ended && !progress->committed && !progress->cancel) {
        progress->cancel = true;
        move_to(session, FERRY_PHASE_CANCELLING, NULL);
        now = true;
    }
    pthread_mutex_unlock(&session->lock);
    if (!now)
        return;
    /* In this order: who is let through by the limit must find the channel shut, or it sends all the rest at once. */
    ferry_channel_shutdown(session->chan, FERRY_READ_WRITE);
    ratelimit_release(session->limit);
}

void ferry_session_stats(struct ferry_session *session, struct ferry_stats *stats)
{
    pthread_mutex_lock(&session->lock);
    if (!session->progress.ended)
        note_times(session, &session->progress.stats);
    *stats = session->progress.stats;
    pthread_mutex_unlock(&session->lock);
}

int ferry_session_set_option(struct ferry_session *session, const char *name, const char *value,
                             struct ferry_error *err)
{
    int ret = options_check_live(name, err);

    if (ret < 0)
        return ret;
    pthread_mutex_lock(&session->lock);
    ret = ferry_options_set(&session->options, name, value, err);
    if (ret == 0) {
        ratelimit_set(session->limit, session->options.max_bandwidth);
        atomic_store(&session->downtime_limit_ns, session->options.downtime_limit_ns);
        atomic_store(&session->give_up_after, session->options.give_up_after);
    }
    pthread_mutex_unlock(&session->lock);
    return ret;
}

void ferry_session_free(struct ferry_session *session)
{
    if (!session)
        return;
    ferry_session_cancel(session);
    if (ferry_session_wait(session, 0, NULL) == -ETIMEDOUT) /* too late to cancel, but nobody waits any more */
        ferry_channel_shutdown(session->chan, FERRY_READ_WRITE);
    pthread_join(session->thread, NULL);
    destroy(session);
}
