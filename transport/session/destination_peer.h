/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_peer.h - what the destination says to its source, beside loading what comes
 *
 *                       ferry dialect                         qemu dialect
 *      open             the hello is answered                 nothing
 *      agree            manifest -> agreed or refused         nothing
 *      item             manifest, prepare, heartbeat, error   (never comes)
 *      take_over        READY; commit; run; RUNNING           run; SHUT where there is a return path
 *
 * The dialect is told by the first bytes.
 */
#ifndef SESSION_DESTINATION_PEER_H
#define SESSION_DESTINATION_PEER_H

#include "destination_pages.h"
#include "hello.h"
#include "liveness.h"
#include "reader.h"
#include "return_path.h"
#include "section.h"
#include "session.h"
#include "watchdog.h"

/* Postcopy: another thread reads the main stream, and tells of it.  await_commit NULL: it is the load thread's. */
struct destination_listener {
    int (*await_commit)(void *opaque, uint8_t token[RETURN_PATH_TOKEN_BYTES], struct ferry_error *err);
    void (*await_end)(void *opaque); /* it reads no more */
    void *opaque;
};

struct destination_peer {
    struct ferry_session *session; /* borrowed */
    struct ferry_reader *reader;   /* owned */
    bool ferry;                    /* the dialect */
    struct watchdog *dog;
    struct return_path *path; /* NULL: nobody listens */
    struct liveness *liveness;
    struct ferry_error lost;       /* why the liveness thread ended it; under the session's lock */
    uint8_t id[HELLO_ID_BYTES];    /* of the session */
    uint8_t nonce[HELLO_ID_BYTES]; /* of the answer to the hello */
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    struct destination_pages *pages; /* borrowed */
    struct destination_listener listener;
    bool prepared; /* PREPARE came */
    bool agreed;   /* a manifest came and fits */
};

/* Learn the dialect, answer the hello, make the reader; *pages takes what came for it.  On failure, too,
 * destination_peer_close() it. */
int destination_peer_open(struct destination_peer *peer, struct ferry_session *session, struct destination_pages *pages,
                          struct ferry_error *err);
void destination_peer_close(struct destination_peer *peer);

/* In the ferry dialect the source is watched from here on; and, after an interruption, no more. */
int destination_peer_watch(struct destination_peer *peer, struct ferry_error *err);
void destination_peer_part(struct destination_peer *peer);

/* Directly behind the configuration: in the ferry dialect, the source's manifest comes, and fits. */
int destination_peer_agree(struct destination_peer *peer, struct ferry_error *err);

/* A FERRY item of the main stream, its payload included. */
int destination_peer_item(struct destination_peer *peer, const struct section_item *item, struct ferry_error *err);

/* The next thing of the main stream must be an item; @awaited is what for. */
int destination_peer_get_item(struct destination_peer *peer, struct section_item *item, const char *awaited,
                              struct ferry_error *err);

/* OPEN_RETURN_PATH and PING.  Return the reader's error. */
int destination_peer_open_path(struct destination_peer *peer);
int destination_peer_ping(struct destination_peer *peer, uint32_t cookie);

/* All initial data of devices is there: say so, where that was agreed to.  Who misses it learns of it soon enough. */
void destination_peer_ack(struct destination_peer *peer);

/* Everything is loaded and checked: get the right to run, and start the guest. */
int destination_peer_take_over(struct destination_peer *peer, struct ferry_error *err);

/* Whether it ended because the source was not heard any more; then *err says so. */
bool destination_peer_lost(struct destination_peer *peer, struct ferry_error *err);

/* It ended with @ret and @err: give the guest up, unless it is undecided who runs it, and tell the source; or, if the
 * source said why first, keep its reason. */
void destination_peer_failed(struct destination_peer *peer, int ret, struct ferry_error *err);

#endif
