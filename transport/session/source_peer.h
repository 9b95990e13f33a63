/* SPDX-License-Identifier: BSD-3-Clause */
/* source_peer.h - what the source and its destination say to each other, beside memory and devices
 *
 *                       ferry dialect                       qemu dialect
 *      open             hello, answered                     (return path, where somebody answers)
 *      agree            manifest -> agreed or refused       nothing
 *      prepare          PREPARE token                       nothing
 *      hand_over        ready; COMMIT token; running        the end is flushed; SHUT where there is a return path
 *
 * source.c calls these in this order and does not ask which dialect it is.
 */
#ifndef SESSION_SOURCE_PEER_H
#define SESSION_SOURCE_PEER_H

#include "link.h"
#include "liveness.h"
#include "session.h"
#include "source_pages.h"
#include "source_postcopy.h"
#include "watchdog.h"

#include <ferry/stream.h>

struct source_peer {
    struct ferry_session *session; /* borrowed */
    struct ferry_writer *writer;   /* borrowed */
    bool ferry;                    /* the dialect */
    struct watchdog *dog;
    struct link *link; /* NULL: nobody answers */
    struct liveness *liveness;
    pthread_mutex_t
        stream_lock; /* who may write to the main stream: the migration thread, or, while it lends it, beats */
    uint32_t pings;
    uint8_t id[HELLO_ID_BYTES];             /* of the session */
    uint8_t nonce[RETURN_PATH_NONCE_BYTES]; /* of the destination's answer */
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    bool committed; /* the right to run may have been given away: only the destination's word counts */
    bool declined;  /* the destination gave the guest back */
    /* Postcopy: what is to be seen to now and then while the destination is waited for; NULL: nothing. */
    int (*meanwhile)(void *opaque, struct ferry_error *err);
    void *meanwhile_opaque;
};

/* Will it be the ferry dialect, where that is possible at all? */
bool source_peer_speaks_ferry(const struct ferry_session *session);

/* Choose the dialect, begin, and connect @pages.  On failure, too, source_peer_close() it. */
int source_peer_open(struct source_peer *peer, struct ferry_session *session, struct ferry_writer *writer,
                     struct source_pages *pages, struct source_postcopy *postcopy, struct ferry_error *err);
/* A zeroed one is legal. */
void source_peer_close(struct source_peer *peer);

/* Directly after the header and the configuration were put: does the destination take this guest? */
int source_peer_agree(struct source_peer *peer, struct ferry_error *err);

/* Between sections: ask for the round trip now and then, note figures, and see whether the destination gave up. */
int source_peer_look(struct source_peer *peer, struct ferry_error *err);

/* Whether the destination gave up, or is lost.  0 where nobody answers. */
int source_peer_status(struct source_peer *peer, struct ferry_error *err);

/* Wait, while the guest runs, until the destination has loaded everything that was sent: what is still under way would
 * otherwise be loaded while the guest stands still.  At once where nobody answers. */
int source_peer_catch_up(struct source_peer *peer, struct ferry_error *err);

/* Nothing will be put for a while: let heartbeats go out meanwhile; and the end of that. */
void source_peer_lend(struct source_peer *peer);
void source_peer_claim(struct source_peer *peer);

/* Whether the destination has said that all initial data of devices is there. */
bool source_peer_acked(const struct source_peer *peer);

/* The guest is about to be stopped. */
int source_peer_about_to_stop(struct source_peer *peer, struct ferry_error *err);

/* The guest stands still: the switch begins. */
void source_peer_prepare(struct source_peer *peer);

/**
 * source_peer_hand_over() - everything is put up to the end of the description: flush it and let the destination run
 *
 * 0: it runs there.  -EOWNERDEAD: it may or may not run there, and must not be started here.  Any other error: it does
 * not run there.
 */
int source_peer_hand_over(struct source_peer *peer, struct ferry_error *err);

/* The same in postcopy, with the package put: the guest is the destination's, its memory follows. */
int source_peer_let_go(struct source_peer *peer, struct ferry_error *err);

/* Postcopy: everything was put; wait for the word that it has come. */
int source_peer_await_shut(struct source_peer *peer, struct ferry_error *err);

/* Postcopy was interrupted: nobody listens or watches any more; and, over a new connection, somebody does again. */
void source_peer_part(struct source_peer *peer);
int source_peer_listen(struct source_peer *peer, struct ferry_error *err);

/* Wait for one of @events (link.h) of the destination, seeing to `meanwhile`.  @deadline_ns as for link_wait(). */
int source_peer_wait(struct source_peer *peer, unsigned events, int64_t deadline_ns, struct ferry_error *err);

/* The migration failed with @err: tell the destination, or, if the destination said why first, take its reason. */
void source_peer_failed(struct source_peer *peer, struct ferry_error *err);

#endif
