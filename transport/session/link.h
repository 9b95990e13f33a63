/* SPDX-License-Identifier: BSD-3-Clause */
/* link.h - the source's ear: a thread that reads the return path
 *
 * The migration thread asks what has come, or waits for it.  A message that means the end (an error, a refusal, a
 * non-zero SHUT, the connection's end) is kept as the link's error, and the channel's writing direction is shut down,
 * so that whoever is inside a write returns and finds the reason here.
 */
#ifndef SESSION_LINK_H
#define SESSION_LINK_H

#include "return_path.h"

#include <ferry/error.h>
#include <stdint.h>

/* What one can wait for. */
enum link_event {
    LINK_AGREED = 1 << 0,
    LINK_READY = 1 << 1,   /* with the token that was expected */
    LINK_RUNNING = 1 << 2, /* likewise */
    LINK_SHUT = 1 << 3,    /* with status 0 */
    LINK_SWITCHOVER_ACK = 1 << 4,
    LINK_DECLINED = 1 << 5, /* with the token that was expected */
    LINK_RESUMED = 1 << 6,  /* RESUME_ACK */
};

struct link_figures {
    int64_t heard_ns;      /* when the last message came, by clock_now_ns(); 0: never */
    int64_t round_trip_ns; /* of the fastest PING so far; 0: none was answered */
    uint64_t loaded_bytes; /* the last watermark */
    uint64_t ready_ns;     /* the destination's own figure: from its last byte to ready */
    uint64_t running_ns;   /* from COMMIT to running */
};

/* Who answers a request for pages (REQ_PAGES).  @block: NULL where the message says "the same as before".  On the
 * link's thread, which reads nothing meanwhile; a negative errno ends the link with *err. */
struct link_server {
    int (*request)(void *opaque, const char *block, uint64_t start, uint32_t length, struct ferry_error *err);
    /* RECV_BITMAP: reads the bitmap of @block that follows.  NULL: nobody asked for one.  Likewise, with no lock held.
     */
    int (*bitmap)(void *opaque, const char *block, struct ferry_reader *reader, struct ferry_error *err);
    void *opaque;
};

struct link;

/**
 * link_new() - start listening
 * @chan: whose return path it is; a reference is taken
 */
struct link *link_new(struct ferry_channel *chan, struct ferry_error *err);

/* Stops listening (the channel's reading direction is shut down) and joins the thread.  NULL is legal. */
void link_free(struct link *link);

/* READY, RUNNING and DECLINED count only with this token. */
void link_expect_token(struct link *link, const uint8_t token[RETURN_PATH_TOKEN_BYTES]);

/* Requests for pages are legal from now on, and go there. */
void link_serve(struct link *link, const struct link_server *server);

/* A ping with this cookie goes out now. */
void link_pinged(struct link *link, uint32_t cookie);

/* Wait until one of @events has come.  0, -ETIMEDOUT at the deadline (clock_now_ns(); negative: none), or the link's
 * error. */
int link_wait(struct link *link, unsigned events, int64_t deadline_ns, struct ferry_error *err);

/* Wait until the ping with this cookie, or a later one, was answered; likewise. */
int link_wait_pong(struct link *link, uint32_t cookie, int64_t deadline_ns, struct ferry_error *err);

/* Wait until @count bitmaps have come in all; likewise. */
int link_wait_bitmaps(struct link *link, unsigned count, int64_t deadline_ns, struct ferry_error *err);

/* The payload of AGREED, once that has come; the link's. */
const uint8_t *link_agreed(const struct link *link, size_t *bytes);

/* The link's error, or 0.  Thread: any. */
int link_status(struct link *link, struct ferry_error *err);

/* End it with a reason of our own: lost, cancelled.  The first reason stays.  Thread: any. */
void link_break(struct link *link, const struct ferry_error *why);

/* Thread: any. */
void link_figures(struct link *link, struct link_figures *figures);

#endif
