/* SPDX-License-Identifier: BSD-3-Clause */
/* source_pages.h - the page channels of a session, as its source uses them
 *
 *      wanted -> dial -> open | round .. sync | round .. sync | last pages, sync | finish
 *                               begin, work until none is left       mark in the main stream for each sync
 *
 * Without page channels (count 0) every function does nothing and says that nothing is left; pages then travel on the
 * main connection (precopy_send_some()).  Used by the migration thread alone.
 */
#ifndef SESSION_SOURCE_PAGES_H
#define SESSION_SOURCE_PAGES_H

#include "hello.h"
#include "page_senders.h"
#include "page_urgent.h"
#include "session.h"
#include "watchdog.h"
#include "widen.h"

struct source_pages {
    struct ferry_session *session;
    unsigned count;
    struct ferry_channel **chans; /* owned array of references */
    struct page_senders *senders; /* NULL until opened */
    uint32_t round;
    bool at_work;
    bool deltas;                /* there are none, and on the main connection pages go as differences */
    bool ends_are_marks;        /* the end of a section of memory says that a round is over, there is no mark */
    struct page_zeros *zeros;   /* owned; zero pages go over the main connection; NULL: in packets */
    struct widen widen;         /* where it is left to us how many are used */
    int64_t window_ns;          /* what it is told next: so long at work ... */
    uint64_t window_pages;      /* ... since so many pages had gone */
    struct page_figures before; /* what channels have carried that are no more */
};

/* How many page channels there are to be, by the options and by what the address allows. */
int source_pages_wanted(struct source_pages *pages, struct ferry_session *session, struct ferry_error *err);

/* Connect them.  @main: what the main connection said; NULL: plain dialect. */
int source_pages_dial(struct source_pages *pages, const struct hello *main, struct watchdog *dog,
                      struct ferry_error *err);

/* Threads for them.  @walk: borrowed. */
int source_pages_open(struct source_pages *pages, struct page_walk *walk, struct ferry_error *err);

/* Work on the current round for at most @ns.  *more: something is left. */
int source_pages_work(struct source_pages *pages, int64_t ns, bool *more, struct ferry_error *err);

/* Pieces of devices' state go with the round that begins next; NULL: none.  Borrowed until it is over. */
void source_pages_carry(struct source_pages *pages, const struct page_parts_source *parts);

/* The round is over: everything goes before what follows the mark that the caller now puts into the main stream. */
int source_pages_sync(struct source_pages *pages, struct ferry_error *err);

/* Postcopy, behind a sync that has no mark: what is left goes on by itself, until source_pages_work() says that nothing
 * is. */
void source_pages_begin_postcopy(struct source_pages *pages);

/* Of a connection for requested pages: as the page channels', once these have begun with postcopy or are about to. */
void source_pages_urgent_terms(const struct source_pages *pages, struct page_urgent_terms *terms);

/* Zero pages of the round, as far as they go over the main connection; in a section of memory, before its sync. */
void source_pages_put_zeros(struct source_pages *pages, struct ferry_writer *writer, const struct ram_block **last);

/* The first error of any so far, or 0. */
int source_pages_status(const struct source_pages *pages, struct ferry_error *err);

/* Nothing more comes. */
int source_pages_finish(struct source_pages *pages, struct ferry_error *err);

/* No more finding out: all that are connected are used.  Returns how many came to it; *used: how many there are. */
unsigned source_pages_use_all(struct source_pages *pages, unsigned *used);

/* What all of them have carried so far. */
void source_pages_total(const struct source_pages *pages, struct page_figures *total);

/* What is to be told of each, the main connection first; and, where there is one (@urgent is not NULL), of that for
 * requested pages. */
void source_pages_note(const struct source_pages *pages, const struct page_figures *main,
                       const struct ferry_channel *urgent, const struct page_figures *urgent_figures);

/* They are no more, from here on there are none; what they have carried counts on. */
void source_pages_part(struct source_pages *pages);

void source_pages_close(struct source_pages *pages);

#endif
