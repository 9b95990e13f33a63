/* SPDX-License-Identifier: BSD-3-Clause */
/* page_urgent.h - requested pages on a channel of their own: a thread that sends whatever is asked for
 *
 *      page_requests_next --> batch --> packet_v2, or a bare RAM record --> a short queue --> urgent channel
 *
 * Nothing limits it: a requested page never waits for bandwidth.  What it sends is charged to the limit, so that the
 * background makes up for it.
 *
 * All functions but _stop, _status and _figures belong to the migration thread.
 */
#ifndef PAGES_PAGE_URGENT_H
#define PAGES_PAGE_URGENT_H

#include "page_requests.h"
#include "page_senders.h"

struct page_urgent_terms {
    /* packet_v2: as on a page channel (round and numbers, checksums where nothing else protects them, an END); pages
     * are never compressed.  NULL: RAM records without header, sections and footer, as QEMU's preempt channel has it.
     */
    const struct packet_format *format;
    unsigned batch_pages; /* packets: as agreed; a host page that is larger takes several */
    bool sums;
    uint32_t round;          /* packets: the background's, page_senders_begin_postcopy() */
    bool end_with_eos;       /* records: QEMU before 8.0 needs one */
    struct ratelimit *limit; /* borrowed: charged and never waited for; NULL: none */
};

struct page_urgent;

/**
 * page_urgent_new() - the thread begins at once
 * @requests: borrowed; nobody else calls page_requests_next() as long as this lives
 * @chan: a reference is taken; its queue is made short
 */
struct page_urgent *page_urgent_new(struct page_requests *requests, struct ferry_channel *chan,
                                    const struct page_urgent_terms *terms, struct ferry_error *err);

/* The first error so far, or 0.  Thread: any. */
int page_urgent_status(struct page_urgent *urgent, struct ferry_error *err);

/**
 * page_urgent_finish() - nothing more is asked for: what was is sent, then END or EOS where there is one, half-close
 *
 * Closes the requests and waits for the thread.  Before it, all page channels are done: the walk is empty.
 */
int page_urgent_finish(struct page_urgent *urgent, struct ferry_error *err);

/* The channel is shut down, the thread woken.  Thread: any. */
void page_urgent_stop(struct page_urgent *urgent);

/* Thread: any. */
void page_urgent_figures(struct page_urgent *urgent, struct page_figures *figures);

/* Stops what still runs.  NULL is legal. */
void page_urgent_free(struct page_urgent *urgent);

#endif
