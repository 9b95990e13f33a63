/* SPDX-License-Identifier: BSD-3-Clause */
/* page_requests.h - the pages that the destination waits for, and what is worth sending along with them
 *
 *      return path --> page_requests_push() --> | page 9 | page 4 | ...  (a ring) --.
 *                                                                                   v
 *                     page_requests_next() <-- urgent first, one host page a batch; walk_jump() behind it
 *                            |            <-- else prefetch: neighbours, a few pages a batch (prefetch.h)
 *                            v
 *                     page_urgent's thread, or the migration thread between two of its own batches
 *
 * Whether a page is still to be sent the walk knows: what was asked for and has gone already is passed over, since it
 * is on its way.  A request that finds the ring full is forgotten: its page comes in the background.
 *
 * Threads: push, close, figures any; next one at a time.
 */
#ifndef PAGES_PAGE_REQUESTS_H
#define PAGES_PAGE_REQUESTS_H

#include "page_walk.h"

#include <ferry/error.h>
#include <stdint.h>

#define PAGE_REQUESTS_PREFETCH_MAX 4096 /* pages */

struct page_requests;

enum page_requests_kind {
    PAGE_REQUESTS_NONE,     /* nothing within the time */
    PAGE_REQUESTS_URGENT,   /* a host page, or a part of it; more of it may follow */
    PAGE_REQUESTS_PREFETCH, /* may wait for whatever is urgent */
    PAGE_REQUESTS_CLOSED,   /* and nothing is left */
};

struct page_requests_figures {
    uint64_t requests;      /* host pages asked for, all told */
    uint64_t repeated;      /* of these, asked for before */
    uint64_t already_sent;  /* of these, had gone in the background, or as a neighbour of another */
    uint64_t forgotten;     /* of these, found the ring full */
    uint64_t pages;         /* 4 KiB each, handed out as urgent */
    uint64_t prefetched;    /* 4 KiB each, handed out as neighbours */
    uint64_t prefetch_hits; /* requests that came where an earlier window had ended, or within it */
    unsigned window;        /* pages that follow the last request; 0: none */
};

/**
 * page_requests_new() - nothing is asked for yet
 * @walk: borrowed; walk_begin_postcopy() before the first page_requests_next()
 * @prefetch_pages: the most neighbours that follow one request; 0: none ever do
 */
struct page_requests *page_requests_new(struct page_walk *walk, unsigned prefetch_pages, struct ferry_error *err);

/* Nobody is inside any of its functions.  NULL is legal. */
void page_requests_free(struct page_requests *requests);

/**
 * page_requests_push() - as a REQ_PAGES message says it
 * @block: of the walk's map
 * @start, @length: bytes; whole host pages within the block, at least one
 *
 * What is asked for twice is counted and otherwise nothing.  Returns 0, or -EPROTO: no honest destination asks so.
 * Never waits for I/O.
 */
int page_requests_push(struct page_requests *requests, const struct ram_block *block, uint64_t start, uint64_t length,
                       struct ferry_error *err);

/**
 * page_requests_next() - what is to be sent next
 * @timeout_ns: how long to wait for it; 0: not at all, negative: until there is something or page_requests_close()
 *
 * Of URGENT and PREFETCH the batch is to be sent, whole, and sorted by batch_split_zero().  Its limit is the caller's
 * for URGENT; PREFETCH takes a few pages, so that a request which comes meanwhile waits for no more.
 */
enum page_requests_kind page_requests_next(struct page_requests *requests, struct page_batch *batch,
                                           int64_t timeout_ns);

/* Something waits to be sent: page_requests_next() would find it at once.  Cheap. */
bool page_requests_waiting(struct page_requests *requests);

/* No request is of interest any more: what was asked for is still handed out, neighbours are not. */
void page_requests_close(struct page_requests *requests);

/* The destination will ask again for all that it misses (a recovery): what was asked for is forgotten, the figures are
 * not, and a close is undone.  Nobody is in page_requests_next(). */
void page_requests_reset(struct page_requests *requests);

void page_requests_figures(struct page_requests *requests, struct page_requests_figures *figures);

#endif
