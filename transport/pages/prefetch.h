/* SPDX-License-Identifier: BSD-3-Clause */
/* prefetch.h - which neighbours of a requested page the guest will want next
 *
 * Whoever reads memory in order touches, after a page and the window that was sent along with it, the page right behind
 * that window: a hit, and the next window is twice as large.  So there are streams, each with a direction (its stride)
 * and a window; a request that fits none begins a new one in place of the one that was not heard of for longest.
 *
 *      asked for      9 .. window 10 11 12 13 .. 14: hit .. window 15 .. 22 .. 23: hit ..
 *      at random      window of `start` pages, and `start` shrinks: to none after a few
 *
 * Requests in, a window out: reads no clock and sends nothing.  One thread.
 */
#ifndef PAGES_PREFETCH_H
#define PAGES_PREFETCH_H

#include "page_walk.h"

#define PREFETCH_STREAMS 16

struct prefetch_stream {
    const struct ram_block *block; /* NULL: free */
    int64_t last;                  /* asked for last */
    int64_t end;                   /* the page behind the window */
    int64_t stride;
    int64_t delta;   /* from the request before; 0: there was none */
    unsigned window; /* pages */
    bool proven;     /* there was a hit */
    uint64_t heard;  /* when */
};

struct prefetch {
    unsigned most;  /* pages in a window; 0: off */
    unsigned start; /* pages in the first window of a stream */
    uint64_t now;   /* requests so far */
    uint64_t hits;
    unsigned window; /* the last one */
    struct prefetch_stream stream[PREFETCH_STREAMS];
};

void prefetch_init(struct prefetch *prefetch, unsigned most);

/**
 * prefetch_request() - this page was asked for
 *
 * *near: what should follow it; count 0: nothing.  Returns the stream's number, below PREFETCH_STREAMS; what this
 * stream was to have sent before and has not is old.
 */
unsigned prefetch_request(struct prefetch *prefetch, const struct ram_block *block, uint64_t page,
                          struct walk_near *near);

#endif
