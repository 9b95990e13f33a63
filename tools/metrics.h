/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.h - the figures of a process's migrations, in the text format of Prometheus
 *
 * Counters go on from one migration to the next; gauges are those of the one under way, or of the last.  The thread
 * that looks at the session puts in, the one that is asked takes out.
 */
#ifndef TOOLS_METRICS_H
#define TOOLS_METRICS_H

#include "report.h"

struct metrics;

/* @side: "source", "destination"; borrowed.  NULL when out of memory. */
struct metrics *metrics_new(const char *side);

/* NULL is legal, here and below. */
void metrics_free(struct metrics *metrics);

/* Figures of the migration under way. */
void metrics_note(struct metrics *metrics, const struct ferry_stats *stats);

/* It has ended; @report: with its channels and its guest; @result: its status; NULL: "failed". */
void metrics_ended(struct metrics *metrics, const struct report *report, const char *result);

/* All of them, the caller's to free(); NULL when out of memory.  Thread: any. */
char *metrics_text(struct metrics *metrics);

#endif
