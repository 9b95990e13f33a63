/* SPDX-License-Identifier: BSD-3-Clause */
/* session.c - what both sides of a migration have in common: a thread, a phase, figures, an end
 *
 * Cancelling is a flag and two wakes: the bandwidth limit lets everybody through and the channel is shut down, so that
 * whatever the session's thread is inside returns; the run function then undoes what it did on its own thread.
 */
#include "session.h"

#include "clock.h"
#include "gather.h"
#include "log.h"
#include "phase.h"
#include "postcopy_ram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int session_collect_with(struct ferry_session *session, struct gather *gather, struct ferry_error *err)
{
    int ret;

    pthread_mutex_lock(&session->lock);
    session->door.gather = gather;
    ret = session_called_off(session) ? cancelled_error(err) : 0;
    pthread_mutex_unlock(&session->lock);
    return ret;
}

int session_come_in(struct ferry_session *session, struct ferry_channel *chan, struct ferry_error *err)
{
    struct ferry_stats *stats = &session->progress.stats;
    int ret;

    pthread_mutex_lock(&session->lock);
    session->chan = ferry_channel_ref(chan);
    session->born = ferry_channel_ref(chan);
    session->started_ns = clock_now_ns();
    session->started_cpu_ns = clock_cpu_ns();
    snprintf(stats->channel, sizeof(stats->channel), "%s", ferry_channel_label(chan));
    ret = session->progress.cancel ? cancelled_error(err) : 0;
    pthread_mutex_unlock(&session->lock);
    return ret;
}

void session_adopt(struct ferry_session *session, struct ferry_channel *chan)
{
    struct ferry_channel *before = session->chan, *born = session->born;

    pthread_mutex_lock(&session->lock);
    session->chan = chan;
    session->born = ferry_channel_ref(chan);
    pthread_mutex_unlock(&session->lock);
    ferry_channel_unref(before);
    ferry_channel_unref(born);
}

void session_fix_compress(struct ferry_session *session, const char *why)
{
    pthread_mutex_lock(&session->lock);
    session->compress_fixed = why;
    pthread_mutex_unlock(&session->lock);
}

void session_note_channels(struct ferry_session *session, const struct ferry_channel_stats *channels, unsigned count)
{
    pthread_mutex_lock(&session->lock);
    if (count > session->channels_count) {
        struct ferry_channel_stats *room = realloc(session->channels, count * sizeof(*room));

        session->channels = room ? room : session->channels;
        session->channels_count = room ? count : session->channels_count;
    }
    if (count > 0 && session->channels) /* those that are no more stay as they were */
        memcpy(session->channels, channels,
               (count < session->channels_count ? count : session->channels_count) * sizeof(*channels));
    pthread_mutex_unlock(&session->lock);
}

unsigned ferry_session_channels(struct ferry_session *session, struct ferry_channel_stats *to, unsigned room)
{
    unsigned count;

    pthread_mutex_lock(&session->lock);
    count = session->channels_count;
    if (count > 0 && room > 0)
        memcpy(to, session->channels, (count < room ? count : room) * sizeof(*to));
    pthread_mutex_unlock(&session->lock);
    return count;
}

void session_note_threads(struct ferry_session *session, const struct ferry_postcopy_thread *threads, unsigned count)
{
    pthread_mutex_lock(&session->lock);
    if (count > session->threads_count) {
        struct ferry_postcopy_thread *room = realloc(session->threads, count * sizeof(*room));

        session->threads = room ? room : session->threads;
        session->threads_count = room ? count : session->threads_count;
    }
    if (session->threads_count > 0)
        memcpy(session->threads, threads, session->threads_count * sizeof(*threads));
    pthread_mutex_unlock(&session->lock);
}

unsigned ferry_session_postcopy_threads(struct ferry_session *session, struct ferry_postcopy_thread *to, unsigned room)
{
    unsigned count;

    pthread_mutex_lock(&session->lock);
    count = session->threads_count;
    if (count > 0 && room > 0)
        memcpy(to, session->threads, (count < room ? count : room) * sizeof(*to));
    pthread_mutex_unlock(&session->lock);
    return count;
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

bool session_cancelled(struct ferry_session *session)
{
    bool ret;

    pthread_mutex_lock(&session->lock);
    ret = session->progress.cancel;
    pthread_mutex_unlock(&session->lock);
    return ret;
}

void session_cancel_reading(struct ferry_session *session)
{
    pthread_mutex_lock(&session->lock);
    session->progress.cancel_shuts = FERRY_READ;
    pthread_mutex_unlock(&session->lock);
}

void session_at(const struct ferry_session *session, const char *step)
{
    options_at_step(&session->options.steps, step);
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

void session_note_id(struct ferry_session *session, const uint8_t id[HELLO_ID_BYTES])
{
    struct ferry_stats *stats = session_stats_lock(session);

    for (size_t i = 0; i < HELLO_ID_BYTES; i++)
        snprintf(stats->id + 2 * i, 3, "%02x", id[i]);
    session_stats_unlock(session);
}

void session_make_id(struct ferry_session *session)
{
    uint8_t id[HELLO_ID_BYTES];

    if (hello_random(id, NULL) == 0)
        session_note_id(session, id);
}

int session_result(int ret, const struct ferry_error *err)
{
    return ret < 0 && err->errnum < 0 ? err->errnum : ret;
}

/* The destination may have had the last byte, and loaded, before our own call returned: then it was sent before. */
static void sent_before(int64_t *at, uint64_t load_ns)
{
    int64_t sent = at[SESSION_READY] - (int64_t)load_ns;

    if (sent < at[SESSION_SENT])
        at[SESSION_SENT] = sent > at[SESSION_PAGES_PUT] ? sent : at[SESSION_PAGES_PUT];
}

void session_note_step(struct ferry_session *session, enum session_step step)
{
    int64_t *at = session->steps_ns, waited, load;
    struct ferry_stats *stats;

    at[step] = clock_now_ns();
    for (int i = step + 1; i < SESSION_STEPS; i++)
        at[i] = at[step];
    if (step == SESSION_READY && session->load_ns < INT64_MAX)
        sent_before(at, session->load_ns);
    waited = at[SESSION_READY] - at[SESSION_SENT];
    load = session->load_ns < (uint64_t)waited ? (int64_t)session->load_ns : waited;
    stats = session_stats_lock(session);
    stats->time.downtime_ns = at[SESSION_RUNNING] - at[SESSION_STOPPING];
    stats->downtime.stop_ns = at[SESSION_STOPPED] - at[SESSION_STOPPING];
    stats->downtime.pages_ns = at[SESSION_PAGES_PUT] - at[SESSION_GOES_ON];
    stats->downtime.paused_ns = at[SESSION_GOES_ON] - at[SESSION_STOPPED];
    stats->downtime.devices_ns = at[SESSION_SENT] - at[SESSION_PAGES_PUT];
    stats->downtime.transfer_ns = waited - load;
    stats->downtime.load_ns = load;
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
    } else if (ret == -ENOTRECOVERABLE) {
        progress->error = *why;
        progress->error.errnum = ret;
        move_to(session, FERRY_PHASE_POSTCOPY_PAUSED, NULL);
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
    session->left.until_ns = session->options.lease_ns ? clock_now_ns() + (int64_t)session->options.lease_ns : -1;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

void session_end_anew(struct ferry_session *session, const struct ferry_error *why)
{
    pthread_mutex_lock(&session->lock);
    session->progress.error = *why;
    move_to(session, why->errnum ? FERRY_PHASE_FAILED : FERRY_PHASE_COMPLETED, NULL);
    pthread_mutex_unlock(&session->lock);
}

static void *session_thread(void *opaque)
{
    struct ferry_session *session = opaque;
    struct ferry_error err = { 0 };
    int ret = session->run(session, &err);

    if (notes_ended(&session->notes) && !notes_doubtful(&session->notes))
        notes_end(&session->notes);
    finish(session, ret, &err);
    return NULL;
}

static void destroy(struct ferry_session *session)
{
    notes_end(&session->notes);
    ratelimit_free(session->limit);
    ferry_listener_free(session->door.listener);
    free(session->uri);
    free(session->channels);
    free(session->threads);
    postcopy_ram_free(session->split_ram);
    free(session->pause.uri);
    ferry_listener_free(session->pause.listener);
    ferry_channel_unref(session->born); /* before its credentials, in which it is noted */
    ferry_channel_unref(session->chan);
    secure_close(&session->secure);
    pthread_cond_destroy(&session->changed);
    pthread_mutex_destroy(&session->left.lock);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

static void init_lock(struct ferry_session *session)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_init(&session->left.lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&session->changed, &attr);
    pthread_condattr_destroy(&attr);
}

/* The rate that holds now.  Called with the lock held, or before the thread runs. */
static void set_limit(struct ferry_session *session)
{
    const struct ferry_options *options = &session->options;
    uint64_t rate = session->postcopy_runs ? options->max_postcopy_bandwidth : options->max_bandwidth;

    ratelimit_set(session->limit, rate < options->max_total_bandwidth ? rate : options->max_total_bandwidth);
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

struct ferry_session *session_new(struct ferry_guest *guest, struct ferry_channel *chan,
                                  const struct ferry_options *options,
                                  int (*run)(struct ferry_session *session, struct ferry_error *err),
                                  struct ferry_error *err)
{
    struct ferry_session *session = calloc(1, sizeof(*session));

    if (!session) {
        ferry_error_set(err, -ENOMEM, "no memory for a session");
        return NULL;
    }
    init_lock(session);
    session->guest = guest;
    session->chan = chan ? ferry_channel_ref(chan) : NULL;
    session->born = chan ? ferry_channel_ref(chan) : NULL;
    session->run = run;
    session->started_ns = clock_now_ns();
    session->started_cpu_ns = clock_cpu_ns();
    session->progress.stats.phase = FERRY_PHASE_SETUP;
    session->progress.cancel_shuts = FERRY_READ_WRITE;
    if (chan)
        snprintf(session->progress.stats.channel, sizeof(session->progress.stats.channel), "%s",
                 ferry_channel_label(chan));
    if (take_options(session, options) < 0)
        goto fail;
    atomic_init(&session->downtime_limit_ns, session->options.downtime_limit_ns);
    atomic_init(&session->compress, session->options.compress);
    atomic_init(&session->postcopy_asked, session->options.postcopy == POSTCOPY_NOW);
    atomic_init(&session->give_up_after, session->options.give_up_after);
    session->limit = ratelimit_new(session->options.max_bandwidth);
    if (session->limit) {
        set_limit(session);
        return session;
    }
fail:
    ferry_error_set(err, -ENOMEM, "cannot start a session: no memory");
    destroy(session);
    return NULL;
}

struct ferry_session *session_go(struct ferry_session *session, struct ferry_error *err)
{
    int ret = -pthread_create(&session->thread, NULL, session_thread, session);

    if (ret == 0)
        return session;
    ferry_error_set(err, ret, "cannot start a session: no thread");
    session->door.listener = NULL; /* it stays its owner's */
    destroy(session);
    return NULL;
}

struct ferry_session *session_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                    const struct ferry_options *options,
                                    int (*run)(struct ferry_session *session, struct ferry_error *err),
                                    struct ferry_error *err)
{
    struct ferry_session *session = session_new(guest, chan, options, run, err);

    return session ? session_go(session, err) : NULL;
}

int ferry_session_wait(struct ferry_session *session, int timeout_ms, struct ferry_error *err)
{
    int64_t deadline = clock_deadline_ns(timeout_ms);
    struct timespec when = clock_timespec(deadline);
    int ret = 0;

    pthread_mutex_lock(&session->lock);
    while (!session->progress.ended && !session->pause.waits && ret != ETIMEDOUT) {
        if (deadline < 0)
            pthread_cond_wait(&session->changed, &session->lock);
        else
            ret = pthread_cond_timedwait(&session->changed, &session->lock, &when);
    }
    if (!session->progress.ended && !session->pause.waits) {
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
    enum ferry_direction how;
    bool now = false;

    pthread_mutex_lock(&session->lock);
    if (!progress->ended && !progress->committed && !progress->cancel) {
        progress->cancel = true;
        move_to(session, FERRY_PHASE_CANCELLING, NULL);
        now = true;
    }
    if (!progress->ended && progress->committed)
        session_pause_call_off(session);
    how = progress->cancel_shuts;
    if (now && session->door.gather)
        gather_cancel(session->door.gather);
    if (now && session->door.awaited)
        ferry_listener_stop(session->door.listener);
    pthread_mutex_unlock(&session->lock);
    if (!now)
        return;
    /* In this order: who is let through by the limit must find the channel shut, or it sends all the rest at once. */
    session_shut_down(session, how);
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

void session_limit_postcopy(struct ferry_session *session)
{
    pthread_mutex_lock(&session->lock);
    session->postcopy_runs = true;
    set_limit(session);
    pthread_mutex_unlock(&session->lock);
}

int ferry_session_start_postcopy(struct ferry_session *session, struct ferry_error *err)
{
    if (session->options.postcopy == POSTCOPY_OFF)
        return ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EPERM,
                                    "this migration was not begun with option 'postcopy'");
    atomic_store(&session->postcopy_asked, true);
    return 0;
}

int ferry_session_set_option(struct ferry_session *session, const char *name, const char *value,
                             struct ferry_error *err)
{
    int ret = options_check_live(name, err);

    if (ret < 0)
        return ret;
    pthread_mutex_lock(&session->lock);
    if (session->compress_fixed && !strcmp(name, "compress"))
        ret = ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EPERM, "option 'compress' cannot be changed here: %s",
                                   session->compress_fixed);
    else
        ret = ferry_options_set(&session->options, name, value, err);
    if (ret == 0) {
        set_limit(session);
        atomic_store(&session->downtime_limit_ns, session->options.downtime_limit_ns);
        atomic_store(&session->compress, session->options.compress);
        atomic_store(&session->give_up_after, session->options.give_up_after);
    }
    pthread_mutex_unlock(&session->lock);
    return ret;
}

void ferry_session_free(struct ferry_session *session)
{
    if (!session)
        return;
    pthread_mutex_lock(&session->lock);
    session->pause.quit = true;
    session_pause_call_off(session);
    pthread_mutex_unlock(&session->lock);
    ferry_session_cancel(session);
    if (ferry_session_wait(session, 0, NULL) == -ETIMEDOUT) /* too late to cancel, but nobody waits any more */
        session_shut_down(session, FERRY_READ_WRITE);
    pthread_join(session->thread, NULL);
    ferry_session_release(session);
    destroy(session);
}
