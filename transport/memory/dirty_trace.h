/* SPDX-License-Identifier: BSD-3-Clause */
/* dirty_trace.h - a file that says which pages were written when, as it is being recorded
 *
 *      {"ferry-dirty-trace": 1, "page-bytes": 4096, "pages": 65536, "way": "uffd-async", "blocks": [..]}
 *      {"until-us": 100120, "pages": [0, 3, 17, 1]}      pages 0 to 2 and 17, some time since the line before
 *      {"until-us": 200251, "pages": []}
 *
 * A line of JSON each.  Pages are counted through all blocks.  An interval of many runs takes several lines with the
 * same end.  What was recorded until the file cannot be written any more stays: nobody who is being recorded may suffer
 * from it.  docs/benchmarking.md has the format, bench/guest/trace.h reads it.
 */
#ifndef MEMORY_DIRTY_TRACE_H
#define MEMORY_DIRTY_TRACE_H

#include "dirty.h"

#include <ferry/error.h>

#define DIRTY_TRACE_NAME      "ferry-dirty-trace"
#define DIRTY_TRACE_VERSION   1
#define DIRTY_TRACE_PAGES_MAX UINT32_MAX
#define DIRTY_TRACE_LINE_RUNS (64u << 10) /* in one line */

struct dirty_trace;

/* A piece of memory that is recorded. */
struct dirty_trace_block {
    const char *name;
    uint64_t pages;
};

/**
 * dirty_trace_create() - a new file; one that is there is written over
 * @way: how written pages are found, in a word
 * @blocks: all of them, in the order in which their pages are counted; borrowed for this call
 */
struct dirty_trace *dirty_trace_create(const char *path, const char *way, const struct dirty_trace_block *blocks,
                                       unsigned count, struct ferry_error *err);

/* An interval is over, so long after the recording began: what follows was written in it. */
void dirty_trace_until(struct dirty_trace *trace, int64_t since_ns);

/* Pages that were written in the interval: runs in ascending order, which may touch. */
void dirty_trace_run(struct dirty_trace *trace, uint64_t first, uint64_t count);

/* The same, for all that are set in the @index-th block's @written. */
void dirty_trace_map(struct dirty_trace *trace, unsigned index, const struct dirty_map *written);

struct dirty_trace_figures {
    uint64_t intervals, pages; /* pages: of all intervals together */
};

/* Write what is left, close, free.  NULL is legal.  Returns 0, or what kept it from being written whole. */
int dirty_trace_close(struct dirty_trace *trace, struct dirty_trace_figures *figures, struct ferry_error *err);

#endif
