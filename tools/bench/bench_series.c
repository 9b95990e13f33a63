/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_series.c - how one migration went over time, out of the events of `ferry send` */
#include "bench_series.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

void bench_series_start(struct bench_series *series)
{
    *series = (struct bench_series){ .history = json_array(), .rounds = json_array(), .stride = 1 };
}

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* One point, as guestperf has it; what we do not have, it has as 0. */
static json_t *point(const json_t *figures)
{
    const json_t *ram = json_object_get(figures, "ram");
    const char *status = json_string_value(json_object_get(figures, "status"));
    json_t *stats =
        json_pack("{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:f, s:I}", "transferred_bytes", number(ram, "transferred"),
                  "remaining_bytes", number(ram, "remaining"), "total_bytes", number(ram, "total"), "duplicate_pages",
                  number(ram, "duplicate"), "skipped_pages", 0, "normal_pages", number(ram, "normal"), "normal_bytes",
                  number(ram, "normal-bytes"), "dirty_rate_pps", number(ram, "dirty-pages-rate"), "transfer_rate_mbs",
                  json_number_value(json_object_get(ram, "mbps")), "iterations", number(ram, "dirty-sync-count"));

    return json_pack("{s:s, s:o, s:f, s:f, s:I, s:I, s:I, s:i}", "status", status ? status : "none", "ram", stats,
                     "now", now(), "duration", (double)number(figures, "total-time-us") / 1000, "downtime",
                     number(figures, "downtime"), "downtime_expected", number(figures, "expected-downtime"),
                     "setup_time", number(figures, "setup-time"), "throttle_pcent", 0);
}

/* Every other one goes. */
static void thin_out(struct bench_series *series)
{
    for (size_t i = json_array_size(series->history) / 2; i-- > 0;)
        json_array_remove(series->history, 2 * i + 1);
    series->stride *= 2;
}

static void end_round(struct bench_series *series, const json_t *figures, double ms)
{
    const json_t *ram = json_object_get(figures, "ram");
    json_int_t bytes = number(ram, "transferred") - series->from_bytes;
    double seconds = (ms - series->from_ms) / 1000;

    json_array_append_new(series->rounds,
                          json_pack("{s:I, s:f, s:f, s:I, s:f, s:I}", "round", series->round, "from-ms",
                                    series->from_ms, "to-ms", ms, "bytes", bytes, "bytes-per-second",
                                    seconds > 0 ? (double)bytes / seconds : 0.0, "dirty-bytes-per-second",
                                    number(ram, "dirty-pages-rate") * number(ram, "page-size")));
    series->from_ms = ms;
    series->from_bytes += bytes;
}

void bench_series_add(struct bench_series *series, const json_t *figures)
{
    const char *event = json_string_value(json_object_get(figures, "event"));
    const char *status = json_string_value(json_object_get(figures, "status"));
    json_int_t round = number(json_object_get(figures, "ram"), "dirty-sync-count");
    double ms = (double)number(figures, "total-time-us") / 1000;
    bool last = event && !strcmp(event, "report");

    if (status && (!strcmp(status, "none") || !strcmp(status, "setup"))) {
        series->from_ms = ms;
        series->from_bytes = number(json_object_get(figures, "ram"), "transferred");
        return;
    }
    if (round != series->round || last)
        end_round(series, figures, ms);
    series->round = round;
    if (series->passed++ % series->stride == 0 || last)
        json_array_append_new(series->history, point(figures));
    if (json_array_size(series->history) >= SERIES_POINTS_MAX)
        thin_out(series);
}

void bench_series_clear(struct bench_series *series)
{
    json_decref(series->history);
    json_decref(series->rounds);
    *series = (struct bench_series){ 0 };
}
