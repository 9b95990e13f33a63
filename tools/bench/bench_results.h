/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_results.h - the file that a benchmark leaves behind, and what may be read from it
 *
 *      line 1      {"ferry-bench": 1, "axes": {..}, "seed": N, "repetitions": N, ..}      what was asked for
 *      line 2..    {"row": N, "run": N, "settings": {..}, "status": .., ..}               one for each run
 *
 * A run that was killed leaves at most half a line, which is cut off when the file is taken up again.
 */
#ifndef TOOLS_BENCH_RESULTS_H
#define TOOLS_BENCH_RESULTS_H

#include <ferry/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define RESULTS_VERSION 1

struct bench_results {
    char path[1024];
    json_t *header;
    json_t *runs; /* array */
    FILE *file;   /* NULL: only read */
};

/* A new file, which must not be there yet; takes @header.  A zeroed struct, or one of a failure, may be closed. */
int bench_results_create(struct bench_results *results, const char *path, json_t *header, struct ferry_error *err);

/* One that is there; @append: to go on with. */
int bench_results_open(struct bench_results *results, const char *path, bool append, struct ferry_error *err);

/* One more run; takes @record.  It is on disk, as far as the kernel's word goes, when this returns. */
int bench_results_add(struct bench_results *results, size_t row, size_t run, json_t *record, struct ferry_error *err);

bool bench_results_has(const struct bench_results *results, size_t row, size_t run);

void bench_results_close(struct bench_results *results);

/* What is asked of a run.  NAN: it does not say. */
enum bench_metric {
    METRIC_RATE,            /* bytes on the wire per second, from the first page to the end */
    METRIC_CEILING,         /* what the link could have carried, by the bare streams beside this run */
    METRIC_RATIO,           /* of these two */
    METRIC_TOTAL,           /* s */
    METRIC_DOWNTIME,        /* ms, as the source measures it */
    METRIC_BLACKOUT,        /* ms, as the guest does */
    METRIC_CPU_SOURCE,      /* s for each 10^9 bytes of pages sent with their content */
    METRIC_CPU_DESTINATION, /* likewise */
    /* Of runs that were predicted to arrive by precopy, and did: */
    METRIC_TOTAL_MEASURED,     /* ms */
    METRIC_TOTAL_PREDICTED,    /* ms */
    METRIC_TOTAL_ERROR,        /* % of what was measured; more than 0: predicted too long */
    METRIC_BLACKOUT_MEASURED,  /* ms */
    METRIC_BLACKOUT_PREDICTED, /* ms */
    METRIC_BLACKOUT_ERROR,     /* % */
    METRIC_ROUNDS_MEASURED,    /* while the guest runs */
    METRIC_ROUNDS_PREDICTED,
    METRICS
};

double bench_metric(const json_t *record, enum bench_metric metric);

struct bench_spread {
    double min, median, max; /* NAN where count is 0 */
    unsigned count;
};

/* Of all runs of a row that completed. */
struct bench_spread bench_spread(const struct bench_results *results, size_t row, enum bench_metric metric);

/* The run of a row that is nearest to the median of its rate; NULL: none has completed.  Borrowed. */
const json_t *bench_typical(const struct bench_results *results, size_t row);

/* How many runs of a row were predicted, and of how many it held: that they would go, or would not. */
unsigned bench_predicted(const struct bench_results *results, size_t row, unsigned *held);

/* How many runs of a row there are, and how many of them failed. */
unsigned bench_count(const struct bench_results *results, size_t row, unsigned *failed);

#endif
