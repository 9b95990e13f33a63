/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.h - a recorded dirty trace, read whole: which pages were written when (dirty_trace.h has the format)
 *
 * The file may be anybody's.  What it says is bounded before anything is allocated for it: lines, intervals, runs, and
 * page numbers, which ascend within an interval.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_FILE_BYTES_MAX (UINT64_C(1) << 30)
#define TRACE_LINE_BYTES_MAX (4u << 20)
#define TRACE_INTERVALS_MAX  (1u << 20)
#define TRACE_RUNS_MAX       (16u << 20)
#define TRACE_NS_MAX         (INT64_C(7) * 24 * 3600 * 1000000000)

struct trace_run {
    uint32_t first, count; /* pages; count is not 0 */
};

struct trace_interval {
    int64_t until_ns; /* since the beginning */
    size_t run;       /* the first of its runs */
    size_t runs;
    uint64_t pages; /* of all of them */
};

struct trace {
    uint64_t pages; /* that were watched */
    uint64_t span;  /* behind the last one that was written */
    uint64_t written;
    struct trace_interval *interval;
    size_t intervals; /* at least 1 */
    struct trace_run *run;
    size_t runs;
    size_t room_intervals, room_runs;
};

/* Returns a trace that the caller frees, or NULL: not there, too large, or none. */
struct trace *trace_read(const char *path, struct ferry_error *err);
void trace_free(struct trace *trace);

/* How many bytes of pages were written in a second, over all of it. */
uint64_t trace_bytes_per_sec(const struct trace *trace);

#endif
