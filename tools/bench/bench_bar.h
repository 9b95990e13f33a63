/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_bar.h - how far a benchmark is: a bar on a terminal, a line for each run elsewhere
 *
 *     [########................]  33%  run 9 of 24  channels=2 tls=on  active 74%  1 min 10 s left
 */
#ifndef TOOLS_BENCH_BAR_H
#define TOOLS_BENCH_BAR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_bar {
    bool quiet, terminal;
    size_t total, done; /* runs */
    size_t skipped;     /* of these, done by somebody before */
    int64_t began_ns, shown_ns;
    const char *label; /* of the run that is under way */
};

/* @skipped: runs that need not be done again. */
void bench_bar_start(struct bench_bar *bar, bool quiet, size_t total, size_t skipped);

/* A run begins; @label is borrowed until it is done. */
void bench_bar_run(struct bench_bar *bar, const char *label);

/* It goes on; @figures: of the source. */
void bench_bar_show(struct bench_bar *bar, const json_t *figures);

/* It is done; @result: what to say about it where there is no bar. */
void bench_bar_done(struct bench_bar *bar, const char *result);

/* Leaves the line empty, for other words. */
void bench_bar_clear(struct bench_bar *bar);

#endif
