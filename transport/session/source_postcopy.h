/* SPDX-License-Identifier: BSD-3-Clause */
/* source_postcopy.h - what a source needs beside precopy so that the guest may go before its memory
 *
 *      wanted -> dial -> advise | rounds ... due? | serve -> start | the rest, finish
 *                agreed on      | precopy         | requested pages go out   | background
 *
 * Where postcopy is off every function does nothing.  Used by the migration thread, but for what the link's does.
 */
#ifndef SESSION_SOURCE_POSTCOPY_H
#define SESSION_SOURCE_POSTCOPY_H

#include "hello.h"
#include "link.h"
#include "page_requests.h"
#include "page_urgent.h"
#include "precopy.h"
#include "session.h"
#include "watchdog.h"

struct source_postcopy {
    struct ferry_session *session;
    bool on;
    struct ferry_channel *chan;     /* a reference; NULL: requested pages go on the main connection */
    const struct ram_map *map;      /* borrowed, with what follows */
    struct page_requests *requests; /* owned; NULL until source_postcopy_serve() */
    struct page_urgent *urgent;     /* owned; NULL: no connection of its own, or not yet */
    const struct ram_block *last;   /* the link's thread's own: "the same as before" */
    int64_t switched_ns;            /* 0: not yet */
    struct page_figures before;     /* what connections have carried that are no more */

    /* Of one attempt to go on after an interruption. */
    uint64_t *received[FERRY_BLOCKS_MAX]; /* owned: what the destination has, by block; NULL: it has not said so */
};

/* Whether the options ask for it, and whether it can be had over this channel at all. */
int source_postcopy_wanted(struct source_postcopy *postcopy, struct ferry_session *session, bool mapped,
                           struct ferry_error *err);

/* Whether there is to be a connection of its own for requested pages.  @ferry: the dialect. */
bool source_postcopy_wants_connection(const struct source_postcopy *postcopy, bool ferry);

/* Is it time to go over?  @rounds: so many were sent; @hopeless: of these, how many in a row cannot converge. */
bool source_postcopy_due(const struct source_postcopy *postcopy, uint64_t rounds, unsigned hopeless);

/* ADVISE: what the destination must be able to do. */
void source_postcopy_put_advise(const struct source_postcopy *postcopy, const struct ram_map *map,
                                struct ferry_writer *writer);

/* The walk is in postcopy: requests are taken from now on, and where there is a connection for them, answered.
 * @terms: of the page channels' packets; format NULL: bare records. */
int source_postcopy_serve(struct source_postcopy *postcopy, struct page_walk *walk, struct link *link,
                          const struct page_urgent_terms *terms, struct ferry_error *err);

/* Where there is no connection for them: put what is requested into the main stream, with some neighbours.  Returns how
 * many batches went. */
unsigned source_postcopy_put_requested(struct source_postcopy *postcopy, struct precopy *precopy);

/* How it goes with their connection: 0, or its error. */
int source_postcopy_status(struct source_postcopy *postcopy, struct ferry_error *err);

/* All pages have been taken: wait until those that were asked for have gone, or @link or their connection breaks. */
int source_postcopy_drain(struct source_postcopy *postcopy, struct link *link, struct ferry_error *err);

/* The same, and the end of their connection. */
int source_postcopy_finish(struct source_postcopy *postcopy, struct ferry_error *err);

/* What its connection has carried; and what is to be told.  Called between session_stats_lock() and _unlock(). */
void source_postcopy_stats(const struct source_postcopy *postcopy, struct ferry_stats *stats);
void source_postcopy_figures(const struct source_postcopy *postcopy, struct page_figures *figures);

/* Connect it.  @main: what the main connection said; NULL: the qemu dialect. */
int source_postcopy_dial(struct source_postcopy *postcopy, const struct hello *main, struct watchdog *dog,
                         struct ferry_error *err);

/* It was interrupted: their connection is no more, and what was asked for will be asked for again. */
void source_postcopy_part(struct source_postcopy *postcopy);

/* Over a new connection: hear what the destination has; then, serve it again. */
void source_postcopy_hear(struct source_postcopy *postcopy, struct link *link);
int source_postcopy_serve_again(struct source_postcopy *postcopy, struct link *link,
                                const struct page_urgent_terms *terms, struct ferry_error *err);

/* Describe in @err that it broke while the guest was at the destination.  Returns -ENOTRECOVERABLE. */
int source_postcopy_broken(struct ferry_error *err);

void source_postcopy_close(struct source_postcopy *postcopy);

#endif
