/* SPDX-License-Identifier: BSD-3-Clause */
/* departure.h - what the source asks and tells its devices while the guest leaves, step by step
 *
 *      begin        (the destination has agreed) blockers; notices none, setup
 *      setup        START of every iterative device
 *      active       notice active
 *      some         their turns in a round;  pending: what they have left, at its end
 *      may_switch   "not yet", the destination's ack; notice pre-switchover
 *      paused       notice pre-switchover once more: the guest stands still, and a word is waited for
 *      stopped      notice device
 *      complete     END of every iterative device
 *      end          notice completed, or failed and none; blockers are free again
 *
 * Used by the source's thread alone.
 */
#ifndef SESSION_DEPARTURE_H
#define SESSION_DEPARTURE_H

#include "iterative.h"
#include "session.h"

struct departure {
    struct ferry_session *session; /* borrowed; NULL: nothing has begun */
    struct iterative iterative;
    uint32_t next_id;
    int64_t not_yet_since_ns; /* when a device first said so; 0: none has */
    bool ack_wanted;          /* no switch before the destination's ack */
};

/* For ferry_source_start(): whether it is worth beginning at all. */
int departure_allowed(struct ferry_guest *guest, struct ferry_error *err);

/* @departure is zero.  On failure call departure_end() all the same. */
int departure_begin(struct departure *departure, struct ferry_session *session, struct ferry_writer *writer,
                    struct ferry_error *err);

/* Section ids count from @first_id; departure_next_id() is the first that is free then. */
int departure_setup(struct departure *departure, uint32_t first_id, struct ferry_error *err);
uint32_t departure_next_id(const struct departure *departure);

int departure_active(struct departure *departure, struct ferry_error *err);

/* See iterative_some(), iterative_pending(). */
int departure_some(struct departure *departure, bool *more, struct ferry_error *err);
uint64_t departure_pending(struct departure *departure);

/**
 * departure_may_switch() - what is left fits: may the guest be stopped now?
 * @acked: the destination says that all initial data is there; asked for where both can (capability switchover-ack)
 * @now: false: not yet; another round, please.  This call has waited for some milliseconds then.
 *
 * Fails when a device refuses for good, or says "not yet" for longer than the options allow, and on a cancel.
 */
int departure_may_switch(struct departure *departure, bool acked, bool *now, struct ferry_error *err);

/* The guest stands still; before the last look at the dirty log. */
int departure_paused(struct departure *departure, struct ferry_error *err);
int departure_stopped(struct departure *departure, struct ferry_error *err);

/* The guest stands still: see iterative_parts().  NULL where the destination takes none, too. */
const struct page_parts_source *departure_parts(struct departure *departure);

/* After memory's END. */
int departure_complete(struct departure *departure, struct ferry_error *err);

/* The same for a switch to postcopy: devices that cannot go on afterwards; then, when the guest runs there, the rest.
 */
int departure_complete_before(struct departure *departure, struct ferry_error *err);
int departure_complete_postcopy(struct departure *departure, struct ferry_error *err);

/* Postcopy goes on over a new connection. */
int departure_resume(struct departure *departure, struct ferry_error *err);

/* Called between session_stats_lock() and session_stats_unlock(). */
void departure_stats(const struct departure *departure, struct ferry_stats *stats);

/* It is over.  @ret: how the migration ends; @guest_runs: here, (again). */
void departure_end(struct departure *departure, int ret, bool guest_runs);

#endif
