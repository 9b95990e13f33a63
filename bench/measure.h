/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.h - what all benchmarks share: their options, their figures, and the JSON that comes out
 *
 *      run      ours | limit | ours | limit ...      what is compared is taken in turns: machines drift
 *      figure   median of ours, median of the limit, median of the ratios of neighbours
 *
 * A benchmark is a table of options and a function that adds to `results`.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <ferry/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MEASURE_RUNS_MAX 101

enum measure_kind {
    MEASURE_SIZE,  /* uint64_t: "512MiB" */
    MEASURE_COUNT, /* uint64_t, from least to most */
    MEASURE_TEXT,  /* const char *; NULL: not given */
    MEASURE_SWITCH /* bool: on, off */
};

/* NAME=VALUE on the command line. */
struct measure_option {
    const char *name; /* NULL ends the table */
    enum measure_kind kind;
    void *to; /* holds the default */
    uint64_t least, most;
    const char *help;
};

struct measure {
    const char *name;
    const char *about; /* for --help: the question, and what the bare limit is */
    const struct measure_option *options;
    /* Returns 0 or a negative errno. */
    int (*run)(json_t *results, struct ferry_error *err);
};

/* The whole of main(): options, run, one JSON object on stdout.  Returns the exit status. */
int measure_main(const struct measure *measure, int argc, char **argv);

struct series {
    double value[MEASURE_RUNS_MAX];
    unsigned count;
};

/* Past MEASURE_RUNS_MAX: forgotten. */
void series_add(struct series *series, double value);

/* 0 of nothing. */
double series_median(const struct series *series);

/* As many of one as of the other. */
struct pairs {
    struct series ours, limit;
};

void pairs_add(struct pairs *pairs, double ours, double limit);

/* {NAME: median, "limit": median, "ratio": median of ours / limit, "runs": [{NAME: .., "limit": ..}, ..]}
 *
 * NAME is "rate" for bytes per second, where a ratio below 1 is what is lost; "ns" for times, where it is above 1. */
json_t *pairs_json(const struct pairs *pairs, const char *name);

/* @bytes in @ns, in bytes per second. */
double measure_rate(uint64_t bytes, int64_t ns);

/* Is @name in the list @wanted, "a,b,c"?  NULL: everything is. */
bool measure_wanted(const char *wanted, const char *name);

#endif
