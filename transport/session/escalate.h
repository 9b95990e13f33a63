/* SPDX-License-Identifier: BSD-3-Clause */
/* escalate.h - does what helps a migration converge, in the order of option `escalate`, and keeps account of it
 *
 *      round over -> converge: verdict -> ladder: what next? -> here: do it, note the rates before
 *      round over -> note the rates after; throttling that brought nothing is undone
 *
 * Used by the migration thread alone.
 */
#ifndef SESSION_ESCALATE_H
#define SESSION_ESCALATE_H

#include "converge.h"
#include "ladder.h"
#include "session.h"
#include "source_pages.h"
#include "throttle.h"

struct escalate {
    struct ferry_session *session; /* NULL: not begun */
    struct source_pages *pages;    /* borrowed */
    struct ladder ladder;
    struct throttle throttle;
    unsigned told;     /* percent, to the guest */
    unsigned hopeless; /* rounds in a row that cannot converge */
};

/* By the options.  @escalate is zero. */
void escalate_begin(struct escalate *escalate, struct ferry_session *session, struct source_pages *pages);

/* Within a round, now and then: the guest is not held back for longer than was allowed. */
void escalate_look(struct escalate *escalate);

/* A round is over.  -ETIME: it cannot converge, and that is to be the end. */
int escalate_round(struct escalate *escalate, const struct converge_figures *figures,
                   const struct converge_decision *decision, struct ferry_error *err);

/* The guest is held back no more. */
void escalate_end(struct escalate *escalate);

#endif
