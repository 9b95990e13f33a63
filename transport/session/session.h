/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - what both sides of a migration have in common: a thread, a phase, figures, an end
 *
 * The caller's threads and the session's own meet only under `lock`.  What the run function needs for itself (streams,
 * bitmaps, loaders) lives on its side: source.c, destination.c.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "options.h"
#include "ratelimit.h"

#include <ferry/session.h>
#include <pthread.h>
#include <stdatomic.h>

/* How it goes, for everyone who asks. */
struct session_progress {
    struct ferry_stats stats;
    struct ferry_error error; /* why it ended, once it has */
    bool cancel;              /* somebody asked to give up */
    bool committed;           /* too late for that */
    bool ended;
};

/* Points in time of the switch, for the parts of the downtime. */
enum session_step {
    SESSION_STOPPING,
    SESSION_STOPPED,
    SESSION_PAGES_PUT,
    SESSION_SENT,
    SESSION_READY,
    SESSION_RUNNING,
    SESSION_STEPS,
};

struct ferry_session {
    struct ferry_guest *guest;  /* borrowed */
    struct ferry_channel *chan; /* a reference */
    struct ferry_options options;
    struct ratelimit *limit; /* for all channels of this session */
    int (*run)(struct ferry_session *session, struct ferry_error *err);
    pthread_t thread;
    int64_t started_ns, started_cpu_ns;
    int64_t steps_ns[SESSION_STEPS];        /* the session thread's own; 0: not come */
    atomic_uint_fast64_t downtime_limit_ns; /* live options, as they are now */
    atomic_uint_fast64_t give_up_after;

    pthread_mutex_t lock; /* guards progress */
    pthread_cond_t changed;
    struct session_progress progress;
};

/* Everything is copied or referenced; the thread runs `run`.  NULL with @err set. */
struct ferry_session *session_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                    const struct ferry_options *options,
                                    int (*run)(struct ferry_session *session, struct ferry_error *err),
                                    struct ferry_error *err);

/* ---- for the run functions, on the session's thread ---- */

/* Go to the next phase.  -ECANCELED when somebody asked to give up. */
int session_enter(struct ferry_session *session, enum ferry_phase phase, struct ferry_error *err);

/* From here on a cancel comes too late.  -ECANCELED when it came before: then stop and undo, or, where the last byte
 * is out already, go on all the same. */
int session_commit(struct ferry_session *session, struct ferry_error *err);

/* It is now.  Steps that never come count as come with the one before them. */
void session_note_step(struct ferry_session *session, enum session_step step);

/* What was agreed with the other side. */
void session_note_peer(struct ferry_session *session, const char *dialect, uint64_t protocol, uint64_t device);

/* What a run function returns: the root cause in @err may have another errno than @ret, which found it. */
int session_result(int ret, const struct ferry_error *err);

/* Note in @err, where it does not say so already, that it was found at @side in the phase of now. */
void session_error_where(struct ferry_session *session, enum ferry_side side, struct ferry_error *err);

/* Change figures between these two; keep it short. */
struct ferry_stats *session_stats_lock(struct ferry_session *session);
void session_stats_unlock(struct ferry_session *session);

#endif
