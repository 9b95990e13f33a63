/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.h - the line on the terminal that says how far a migration is
 *
 *     active [#########...]  74%  1.21 GiB/s  dirty 100.0 MiB/s  round 2  0.4 s left
 *
 * Percent never runs backwards, although the guest makes new work all the time, and is 100 only at the end.  What is
 * too much for a narrow terminal is left out, the bar first, then round, dirty rate, estimate, rate.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <ferry/session.h>
#include <stdbool.h>
#include <stddef.h>

struct progress_figures {
    enum ferry_phase phase;
    int64_t total_ns;         /* since the start of the migration */
    uint64_t total_bytes;     /* of the guest's memory */
    uint64_t done_bytes;      /* of pages that have crossed, each time they did */
    uint64_t remaining_bytes; /* source: known to be left; destination: nobody there knows */
    uint64_t wire_bytes;
    uint64_t dirty_bytes_per_sec;
    uint64_t rounds;
    bool receiving; /* at the destination */
};

/* What the line must remember; all zero at first. */
struct progress_meter {
    unsigned percent;
    int64_t at_ns; /* of the last measurement */
    uint64_t done_bytes, wire_bytes;
    double done_per_sec, wire_per_sec; /* smoothed */
};

void progress_figures_from(const struct ferry_stats *stats, bool receiving, struct progress_figures *figures);

/* The line for a terminal of @columns, at most @columns - 1 characters.  Returns @to.  Pure. */
char *progress_line(struct progress_meter *meter, const struct progress_figures *figures, char *to, size_t room,
                    unsigned columns);

struct progress;

/* NULL when stderr is no terminal, and when out of memory: then there is no line.  All below take NULL. */
struct progress *progress_new(void);

void progress_show(struct progress *progress, const struct progress_figures *figures);

/* Leaves the line empty, for other words. */
void progress_clear(struct progress *progress);

void progress_free(struct progress *progress);

#endif
