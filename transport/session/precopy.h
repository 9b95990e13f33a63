/* SPDX-License-Identifier: BSD-3-Clause */
/* precopy.h - rounds over the dirty memory of a running guest
 *
 *      begin: watch all blocks, every page is dirty
 *      round: walk the dirty pages until none is left | ask the trackers what was written meanwhile
 *
 * Used by the source's thread alone.
 */
#ifndef SESSION_PRECOPY_H
#define SESSION_PRECOPY_H

#include "converge.h"
#include "guest_parts.h"
#include "page_senders.h"
#include "page_walk.h"
#include "ram_deltas.h"

#include <ferry/stream.h>
#include <stdbool.h>

struct precopy_round {
    int64_t began_ns;
    uint64_t began_bytes;
    uint64_t previous_pending_bytes;
    uint64_t window_ns;                    /* since it was judged which pages are hot */
    uint64_t began_pages;                  /* with content, sent before it */
    uint64_t previous_ns;                  /* how long the one before took */
    uint64_t previous_dirty_bytes_per_sec; /* and what was written in it */
    uint64_t bytes_per_sec;                /* of memory, in the last round that said something */
    unsigned fitting;                      /* see converge_figures.fitting_rounds */
    uint64_t count;                        /* rounds that are over */
};

struct precopy {
    struct page_walk walk;
    struct ferry_writer *writer;  /* borrowed */
    struct tracker_set *trackers; /* owned */
    struct tracker own;           /* the one of ours that was asked for by name; ops NULL: none */
    void (*own_free)(struct tracker *tracker);
    uint64_t channel_bytes;       /* what page channels have carried so far; the caller's to set */
    uint64_t channel_pages;       /* of pages with content, so many; likewise */
    uint64_t iterative_bytes;     /* what devices have pending at the end of a round; the caller's to set */
    uint64_t held_pages;          /* wait for the end, as they are written all the time */
    const struct ram_block *last; /* for CONTINUE */
    uint64_t normal, zero;        /* pages sent so far */
    struct ram_deltas *deltas;    /* owned; NULL: pages go as they are */
    uint64_t delta_pages;         /* of the normal ones, gone as a difference */
    struct precopy_round round;
};

/* Start watching; all pages are to be sent, by @writer (NULL: none will be).  On failure call precopy_end() all the
 * same. */
int precopy_begin(struct precopy *precopy, struct ferry_guest *guest, uint64_t tracker_choice,
                  struct ferry_writer *writer, struct ferry_error *err);
void precopy_end(struct precopy *precopy);

/* From the second round on pages go as differences, where they can; until then, and without this, as they are. */
int precopy_use_deltas(struct precopy *precopy, struct ferry_error *err);

/* For good: all pages go as they are.  Before postcopy. */
void precopy_drop_deltas(struct precopy *precopy);

/* What went over the main connection, by the way it went. */
void precopy_figures(const struct precopy *precopy, struct page_figures *figures);

/* Send the next dirty pages: at most one batch.  False when none is left. */
bool precopy_send_some(struct precopy *precopy);

/* These, which were taken from the walk in another way. */
void precopy_put(struct precopy *precopy, const struct page_batch *batch);

/* Pages that wait for the end; walk_watch_hot() makes them. */
void precopy_hot_stats(const struct precopy *precopy, struct ferry_hot_stats *stats);

/* Ask the trackers; pages become dirty again, and none waits any more.  *changed: how many were written. */
int precopy_sync(struct precopy *precopy, uint64_t *changed, struct ferry_error *err);

/* Rounds are of another kind from here on: what the one before left says nothing about the next. */
void precopy_compare_anew(struct precopy *precopy);

/* A round is over: sync, and what its figures say.  @device_bytes: state that goes over while the guest is stopped. */
int precopy_end_round(struct precopy *precopy, uint64_t downtime_limit_ns, uint64_t device_bytes,
                      struct converge_figures *figures, struct converge_decision *decision, struct ferry_error *err);

#endif
