/* SPDX-License-Identifier: BSD-3-Clause */
/* report.h - what became of a migration, as one JSON object
 *
 * Names and units are those of QEMU's query-migrate where QEMU has the figure.
 */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include "guest.h"
#include "progress.h"
#include "report_channels.h"

#include <ferry/session.h>
#include <jansson.h>
#include <stdbool.h>

#define REPORT_THREADS_MAX 256

struct report {
    const char *side;         /* "source", "destination" */
    struct ferry_stats stats; /* all zero when there was no session */
    struct ferry_channel_stats channels[REPORT_CHANNELS_MAX];
    struct ferry_postcopy_thread threads[REPORT_THREADS_MAX]; /* of the guest, that waited for pages */
    unsigned threads_count;
    unsigned channels_count;
    struct ferry_error error; /* errnum 0: none */
    bool cancelled;           /* by a signal */
    bool guest_known;         /* there is a guest, and its figures */
    bool guest_runs;          /* here, and it was looked at */
    bool verified;            /* verify says something */
    struct bench_figures guest;
    struct bench_verify verify;
};

/* The whole report; the caller's reference, or NULL when out of memory. */
json_t *report_json(const struct report *report);

/* Figures under way: an object that is like the report's beginning. */
json_t *report_stats_json(const char *side, const struct ferry_stats *stats);

/* What the progress line needs, out of such an object. */
void report_figures(const json_t *stats, struct progress_figures *figures);

/* One object of both sides', each may be NULL; the parts that one asks for first stand at the top. */
json_t *report_merge(json_t *source, json_t *destination);

/* {"code", "number", "phase", "side", "text"} and what else is known; NULL when out of memory. */
json_t *report_error_json(const struct ferry_error *err);

/* Write @object and a newline; 0 or a negative errno with @err set. */
int report_write(FILE *to, json_t *object, bool pretty, struct ferry_error *err);

#endif
