/* SPDX-License-Identifier: BSD-3-Clause */
/* session.h - what both sides of a migration have in common: a thread, a phase, figures, an end
 *
 * The caller's threads and the session's own meet only under `lock`.  What the run function needs for itself (streams,
 * bitmaps, loaders) lives on its side: source.c, destination.c.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "hello.h"
#include "notes.h"
#include "options.h"
#include "ratelimit.h"
#include "secure.h"

#include <ferry/session.h>
#include <pthread.h>
#include <stdatomic.h>

/* How it goes, for everyone who asks. */
struct session_progress {
    struct ferry_stats stats;
    struct ferry_error error; /* why it ended, once it has */
    bool cancel;              /* somebody asked to give up */
    bool committed;           /* too late for that */
    bool go_on;               /* somebody ended the pause before the switch */
    bool ended;
    enum ferry_direction cancel_shuts; /* of the channel */
};

struct gather;
struct postcopy_ram;

/* Where the source of a destination that listens comes in; none of it for who was given a connection. */
struct session_door {
    struct ferry_listener *listener; /* owned; the session thread's own, which closes it when all have come */
    int timeout_ms;                  /* for somebody to come */
    struct gather *gather;           /* the session thread's, while it collects; guarded by the session's lock */
    bool awaited;                    /* somebody is, by session_accept(); likewise */
};

/* Its connections besides the main one.  Whoever is inside one of them is woken when the main one is shut down. */
struct session_others {
    struct ferry_channel *chan[HELLO_ALL_MAX]; /* references; guarded by the session's lock, as are the next two */
    unsigned count;
    bool shut; /* those that come now are too late */
};

/* What may still be decided after the end; settle.c's. */
struct session_leftover {
    pthread_mutex_t lock; /* held while something is decided; guards `notes` after the end, and let_go */
    int64_t until_ns;     /* the lease's end; negative: none; fixed at the end */
    bool incomplete;      /* some of the guest's memory is at the source only; fixed at the end */
    bool let_go;
};

/* A postcopy that was interrupted: what its thread sleeps for.  Guarded by the session's lock; session_pause.c's. */
struct session_pause {
    bool sleeps;                     /* the thread does; it may be told to go on */
    bool waits;                      /* until then, and ferry_session_wait() does not wait for that */
    bool asked;                      /* by ferry_session_pause() or _cancel(): it does not try by itself */
    bool told;                       /* go on: at this address, or with this listener */
    bool by_hand;                    /* what is being tried now was told */
    bool quit;                       /* the session is being freed */
    char *uri;                       /* owned */
    struct ferry_listener *listener; /* owned */
    int64_t since_ns, until_ns;      /* of this interruption; until when it tries by itself */
    uint64_t pages;                  /* that had come or gone at the one before */
    unsigned tries;
};

/* Points in time of the switch, for the parts of the downtime. */
enum session_step {
    SESSION_STOPPING,
    SESSION_STOPPED,
    SESSION_GOES_ON, /* after a pause */
    SESSION_PAGES_PUT,
    SESSION_SENT,
    SESSION_READY,
    SESSION_RUNNING,
    SESSION_STEPS,
};

struct ferry_session {
    struct ferry_guest *guest;  /* borrowed */
    struct ferry_channel *chan; /* a reference; NULL until a source has come in, by session_come_in() */
    struct session_others others;
    struct session_door door;
    char *uri; /* source: where more connections can be made; NULL: nowhere */
    struct ferry_channel
        *born; /* a reference to the first main connection: its key proves later ones; NULL: none yet */
    struct session_pause pause;
    struct secure secure;
    struct ferry_options options;
    struct ratelimit *limit; /* for all channels of this session */
    int (*run)(struct ferry_session *session, struct ferry_error *err);
    pthread_t thread;
    int64_t started_ns, started_cpu_ns;
    int64_t steps_ns[SESSION_STEPS];        /* the session thread's own; 0: not come */
    uint64_t load_ns;                       /* likewise: before SESSION_READY, as the destination says */
    atomic_uint_fast64_t downtime_limit_ns; /* live options, as they are now */
    atomic_uint_fast64_t give_up_after;
    atomic_uint_fast64_t compress; /* enum compress_choice */
    atomic_bool postcopy_asked;    /* by ferry_session_start_postcopy() */

    bool is_source;
    struct notes notes; /* the session thread's own, until it has ended */
    struct session_leftover left;

    pthread_mutex_t lock; /* guards progress */
    pthread_cond_t changed;
    struct session_progress progress;
    bool postcopy_runs;             /* which bandwidth holds; under lock */
    const char *compress_fixed;     /* why `compress` stays as it is; NULL: it can change; under lock */
    struct postcopy_ram *split_ram; /* owned; after a broken postcopy, at the destination: what misses stays missing */
    struct ferry_postcopy_thread *threads; /* owned, with threads_count; under lock */
    unsigned threads_count;
    struct ferry_channel_stats *channels; /* owned; under lock */
    unsigned channels_count;
};

/**
 * session_new() - a session without its thread
 * @chan: NULL for one that has a door
 *
 * Everything is copied or referenced; the thread will run `run`.  NULL with @err set.
 */
struct ferry_session *session_new(struct ferry_guest *guest, struct ferry_channel *chan,
                                  const struct ferry_options *options,
                                  int (*run)(struct ferry_session *session, struct ferry_error *err),
                                  struct ferry_error *err);

/* Start its thread.  Returns @session, or NULL with @err set and @session gone, but for the listener at its door. */
struct ferry_session *session_go(struct ferry_session *session, struct ferry_error *err);

/* Both at once. */
struct ferry_session *session_start(struct ferry_guest *guest, struct ferry_channel *chan,
                                    const struct ferry_options *options,
                                    int (*run)(struct ferry_session *session, struct ferry_error *err),
                                    struct ferry_error *err);

/* ---- for the run functions, on the session's thread ---- */

/* Go to the next phase.  -ECANCELED when somebody asked to give up. */
int session_enter(struct ferry_session *session, enum ferry_phase phase, struct ferry_error *err);

/* A cancel is to end what @gather collects; NULL: no more.  -ECANCELED when somebody asked to give up before. */
int session_collect_with(struct ferry_session *session, struct gather *gather, struct ferry_error *err);

/* Wait at the door for one connection.  NULL with @err set, -ECANCELED when somebody asked to give up. */
struct ferry_channel *session_accept(struct ferry_session *session, int timeout_ms, struct ferry_error *err);

/* The source has come in through the door, on @chan: the migration begins now.  -ECANCELED likewise. */
int session_come_in(struct ferry_session *session, struct ferry_channel *chan, struct ferry_error *err);

/* From here on @chan, which is layered over the channel so far and keeps it alive, is the session's; takes it. */
void session_adopt(struct ferry_session *session, struct ferry_channel *chan);

/* @chan belongs to the session, too; a reference is taken. */
void session_add_channel(struct ferry_session *session, struct ferry_channel *chan);

/* They are about to be closed. */
void session_drop_channels(struct ferry_session *session);

/* Let nobody be inside a transfer any more: @how of the main connection, and the others.  Thread: any. */
void session_shut_down(struct ferry_session *session, enum ferry_direction how);

/* From here on option `compress` stays as it is, and this is why; a sentence that stays. */
void session_fix_compress(struct ferry_session *session, const char *why);

/* From here on the bandwidth of postcopy holds. */
void session_limit_postcopy(struct ferry_session *session);

/* Note what connections it has; copied. */
void session_note_channels(struct ferry_session *session, const struct ferry_channel_stats *channels, unsigned count);

/* Note which threads of the guest waited for pages; copied.  Never fewer than before. */
void session_note_threads(struct ferry_session *session, const struct ferry_postcopy_thread *threads, unsigned count);

/* ---- a postcopy that is interrupted (session_pause.c) ---- */

/* It is paused, for this reason: all its connections are shut down, and forgotten but for the main one. */
void session_pause(struct ferry_session *session, struct ferry_error *why);

/* Sleep until it is to be tried to go on: told so, or, where this side @knows how, by itself.  0: `uri`, or the door's
 * listener, is where.  -ENOTRECOVERABLE: the session is to end. */
int session_await_resume(struct ferry_session *session, bool knows);

/* In one of its attempts: the main connection is this one now; takes it. */
void session_replace(struct ferry_session *session, struct ferry_channel *chan);

/* It goes on.  -ECANCELED, where that was called off meanwhile. */
int session_resumed(struct ferry_session *session, struct ferry_error *err);

/* With the lock held: nobody waits for a source, or connects to a destination, any more. */
void session_pause_call_off(struct ferry_session *session);

/* With the lock held: what waits for a connection is to give up. */
bool session_called_off(const struct ferry_session *session);

/* From here on a cancel comes too late.  -ECANCELED when it came before: then stop and undo, or, where the last byte
 * is out already, go on all the same. */
int session_commit(struct ferry_session *session, struct ferry_error *err);

/* After the end: it has become another, @why (0: completed). */
void session_end_anew(struct ferry_session *session, const struct ferry_error *why);

/* Somebody asked to give up. */
bool session_cancelled(struct ferry_session *session);

/* From here on a cancel stops reading alone, so that the other side can still be told. */
void session_cancel_reading(struct ferry_session *session);

/* A step towards the right to run was taken: whoever wants to know (options_set_steps()) is told. */
void session_at(const struct ferry_session *session, const char *step);

/* It is now.  Steps that never come count as come with the one before them. */
void session_note_step(struct ferry_session *session, enum session_step step);

/* What was agreed with the other side. */
void session_note_peer(struct ferry_session *session, const char *dialect, uint64_t protocol, uint64_t device);

/* How this session is called, by the hello; where there is none, by a name that this end makes. */
void session_note_id(struct ferry_session *session, const uint8_t id[HELLO_ID_BYTES]);
void session_make_id(struct ferry_session *session);

/* What a run function returns: the root cause in @err may have another errno than @ret, which found it. */
int session_result(int ret, const struct ferry_error *err);

/* Note in @err, where it does not say so already, that it was found at @side in the phase of now. */
void session_error_where(struct ferry_session *session, enum ferry_side side, struct ferry_error *err);

/* Change figures between these two; keep it short. */
struct ferry_stats *session_stats_lock(struct ferry_session *session);
void session_stats_unlock(struct ferry_session *session);

#endif
