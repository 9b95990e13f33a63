/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_control.h - what QMP clients ask for and what this side of a migration does about it
 *
 *      server's thread   commands ---> migrate, cancel, set ... --.          .--> events
 *                                                                  control --'
 *      main thread       wait for a wish, attach a session, detach it
 *      session's thread  notices: the guest stopped, was started
 *
 * One lock guards it; nobody waits for a client, or for the session, while holding it.
 */
#ifndef QMP_CONTROL_H
#define QMP_CONTROL_H

#include "qmp_dirty_rate.h"
#include "qmp_settings.h"

#include <ferry/notify.h>
#include <ferry/session.h>
#include <pthread.h>

#define QMP_CHANNELS_SHOWN 64 /* more would make answers longer than a client may keep waiting for */

struct qmp_terms {
    bool is_source;
    bool deferred;                       /* waits for migrate or migrate-incoming; else it was given its address */
    bool insecure;                       /* the destination may listen to other machines without TLS */
    struct ferry_guest *guest;           /* borrowed */
    const struct ferry_options *options; /* to begin with; borrowed for the call */
    void (*post)(void *opaque, json_t *event); /* takes an event, which may be NULL; thread: any */
    void *opaque;
};

enum qmp_stage {
    QMP_IDLE,
    QMP_ASKED, /* a migration was asked for, its session is being made */
    QMP_RUNS,
    QMP_OVER, /* it ended, well or not */
};

struct qmp_migration {
    enum qmp_stage stage;
    bool wanted; /* asked for, and not yet seen by the main thread */
    bool cancel;
    bool postcopy;                   /* to begin as soon as there is a session */
    bool resumed;                    /* an interrupted postcopy was told to go on: the main thread waits for that */
    bool given_up;                   /* ... and is to wait no more */
    bool began;                      /* at a destination: a second one is refused */
    char *uri;                       /* owned */
    char *address;                   /* where it listens; owned */
    struct ferry_listener *listener; /* owned until the main thread takes it */
    struct ferry_session *session;   /* borrowed, while QMP_RUNS */
    struct ferry_stats stats;        /* when it is over */
    struct ferry_channel_stats channels[QMP_CHANNELS_SHOWN];
    unsigned count;           /* of them all; those that are not shown included */
    struct ferry_error error; /* errnum 0: none */
};

/* What was told last. */
struct qmp_told {
    const char *status;
    uint64_t passes;
    uint64_t resumed; /* how often an interrupted postcopy went on */
    bool stopped;     /* the guest stands still */
};

struct qmp_control {
    struct qmp_terms terms;        /* but for options */
    pthread_mutex_t lock;          /* guards all below */
    pthread_cond_t changed;        /* wanted, quit */
    struct ferry_options *options; /* owned */
    struct qmp_settings settings;
    struct qmp_dirty_rate *rate; /* owned */
    struct qmp_migration migration;
    struct qmp_told told;
    bool quit;
};

struct qmp_control *qmp_control_new(const struct qmp_terms *terms, struct ferry_error *err);

/* NULL is legal.  No session is attached and no server calls any more. */
void qmp_control_free(struct qmp_control *control);

/* Main thread: wait until a migration is asked for.  -ESHUTDOWN: the end is. */
int qmp_control_wait(struct qmp_control *control);

/* Ask for the end; cancels what runs.  Thread: any. */
void qmp_control_quit(struct qmp_control *control);

bool qmp_control_quits(struct qmp_control *control);

/* Main thread: what was asked for.  The options go into @options, the address is valid until the next wait, the
 * listener is the caller's. */
const char *qmp_control_take(struct qmp_control *control, struct ferry_options *options,
                             struct ferry_listener **listener);

/* Main thread: a session of it runs / is not to be touched any more and ended so; @err: NULL for a good end.  A session
 * that never came to be is detached all the same; the second time is harmless.  @control may be NULL. */
void qmp_control_attach(struct qmp_control *control, struct ferry_session *session);
void qmp_control_detach(struct qmp_control *control, const struct ferry_stats *stats, const struct ferry_error *err);

/* Main thread: the session's postcopy is paused.  Wait until a client tells it to go on; false: nobody will. */
bool qmp_control_await_resume(struct qmp_control *control);

/* That is waited for no more.  Thread: any. */
void qmp_control_give_up(struct qmp_control *control);

/* Main thread: a migration begins without having been asked for. */
void qmp_control_begin(struct qmp_control *control);

/* Server's thread: tell of the rounds.  Returns in how many ms to come again; -1: when something happens. */
int qmp_control_tick(struct qmp_control *control);

/* With the lock held: a migration was asked for; one is under way; the guest runs here; events. */
void qmp_control_ask(struct qmp_control *control);
bool qmp_control_is_under_way(const struct qmp_control *control);
bool qmp_control_guest_runs(const struct qmp_control *control);
void qmp_control_tell_status(struct qmp_control *control, const char *status);

/* The guest was stopped for good, by nobody's migration.  Thread: any. */
void qmp_control_stopped(struct qmp_control *control);

/* The notifier to be added to the guest, before any session. */
int qmp_control_notice(void *opaque, const struct ferry_notice *notice, struct ferry_error *err);

/* An event of now; takes @data, NULL: none.  NULL when out of memory. */
json_t *qmp_event_json(const char *name, json_t *data);

#endif
