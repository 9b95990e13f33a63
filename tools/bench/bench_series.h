/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_series.h - how one migration went over time, out of the events of `ferry send`
 *
 *      figures, 50 a second --.--> history: with guestperf's names; thinned out when it becomes long
 *                             '--> rounds: one entry each time the dirty log was read
 */
#ifndef TOOLS_BENCH_SERIES_H
#define TOOLS_BENCH_SERIES_H

#include <jansson.h>
#include <stdint.h>

#define SERIES_POINTS_MAX 400

struct bench_series {
    json_t *history; /* [{"status", "ram": {..}, "now", "duration", ..}] */
    json_t *rounds;  /* [{"round", "from-ms", "to-ms", "bytes", "bytes-per-second", "dirty-bytes-per-second"}] */
    unsigned stride; /* every how many events are kept */
    unsigned passed;
    json_int_t round; /* of the last event */
    double from_ms;   /* when it began */
    json_int_t from_bytes;
};

void bench_series_start(struct bench_series *series);

/* One event "figures", or the report of the source, which is the last of them. */
void bench_series_add(struct bench_series *series, const json_t *figures);

void bench_series_clear(struct bench_series *series);

#endif
