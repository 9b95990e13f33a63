/* SPDX-License-Identifier: BSD-3-Clause */
/* landing.h - what the destination asks and tells its devices while a guest arrives, step by step
 *
 *      begin      notices none, setup; load.setup of every iterative device
 *      active     notice active
 *      start      START of an iterative device;  next: PART and END of whatever has started, memory included
 *      complete   nothing is missing; notice device; self-checks
 *      end        notice completed, or failed and none
 *
 * Used by the session's thread alone.
 */
#ifndef SESSION_LANDING_H
#define SESSION_LANDING_H

#include "iterative_load.h"

#include <ferry/session.h>

struct landing {
    struct ferry_guest *guest;     /* borrowed; NULL: nothing has begun */
    struct section_table sections; /* memory's, too: whoever loads it adds it */
    struct iterative_loader loader;
    bool acked;
};

/* @landing is zero.  On failure call landing_end() all the same. */
int landing_begin(struct landing *landing, struct ferry_guest *guest, struct ferry_reader *reader,
                  struct ferry_error *err);

int landing_active(struct landing *landing, struct ferry_error *err);

/* A START that is not memory's; a PART or END of anything.  Body and footer are read.  0 or the reader's error. */
int landing_start(struct landing *landing, const struct section_item *item) FERRY_CHECK;
int landing_next(struct landing *landing, const struct section_item *item) FERRY_CHECK;

/* After landing_next(): true once, as soon as every device has its initial data. */
bool landing_ack_due(struct landing *landing);

/* After the last section and before the guest may start: 0, or why it must not. */
int landing_complete(struct landing *landing, struct ferry_error *err);

/* The same for a switch to postcopy: what must be there before the guest runs here; and, in the end, the rest. */
int landing_complete_before(struct landing *landing, struct ferry_error *err);
int landing_complete_after(struct landing *landing, struct ferry_error *err);

/* Called between session_stats_lock() and session_stats_unlock(). */
void landing_stats(const struct landing *landing, struct ferry_stats *stats);

/* It is over.  @ret: how; on 0 the guest runs here. */
void landing_end(struct landing *landing, int ret);

#endif
