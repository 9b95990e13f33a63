/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_metric.c - figures of one run, and of all runs of a row */
#include "bench_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BITS_PER_MBPS 1e6
#define SPREAD_MAX    1024

static double number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double lesser(double a, double b)
{
    return isnan(a) ? b : isnan(b) || a < b ? a : b;
}

/* Of the streams that a migration has, or of the cipher, where that is less. */
static double ceiling(const json_t *record)
{
    const json_t *found = json_object_get(record, "ceiling");
    double cpus = number(record, "cpus"), count = number(found, "count"), cipher = number(found, "cipher");

    if (isnan(cpus))
        cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
    return lesser(number(found, "streams"), cipher * lesser(count, cpus));
}

static double rate(const json_t *record)
{
    return number(json_object_get(json_object_get(record, "source"), "ram"), "mbps") * BITS_PER_MBPS / 8;
}

static double cpu_per_gb(const json_t *record, const char *side)
{
    double bytes = number(json_object_get(json_object_get(record, "source"), "ram"), "normal-bytes");

    return bytes > 0 ? number(json_object_get(record, side), "cpu") / (bytes / 1e9) : NAN;
}

/* Some figure of the "prediction". */
static double predicted(const json_t *record, enum bench_metric metric)
{
    static const struct {
        const char *of, *name;
    } rows[] = {
        { "total-time", "measured" }, { "total-time", "predicted" }, { "total-time", "error-percent" },
        { "blackout", "measured" },   { "blackout", "predicted" },   { "blackout", "error-percent" },
        { "rounds", "measured" },     { "rounds", "predicted" },
    };
    const json_t *prediction = json_object_get(record, "prediction");

    return number(json_object_get(prediction, rows[metric - METRIC_TOTAL_MEASURED].of),
                  rows[metric - METRIC_TOTAL_MEASURED].name);
}

double bench_metric(const json_t *record, enum bench_metric metric)
{
    const json_t *source = json_object_get(record, "source"), *destination = json_object_get(record, "destination");

    switch (metric) {
    case METRIC_RATE:
        return rate(record);
    case METRIC_CEILING:
        return ceiling(record);
    case METRIC_RATIO:
        return rate(record) / ceiling(record);
    case METRIC_TOTAL:
        return number(source, "total-time-us") / 1e6;
    case METRIC_DOWNTIME:
        return number(source, "downtime-us") / 1e3;
    case METRIC_BLACKOUT:
        return number(destination, "guest-blackout");
    case METRIC_CPU_SOURCE:
        return cpu_per_gb(record, "source");
    case METRIC_CPU_DESTINATION:
        return cpu_per_gb(record, "destination");
    default:
        return predicted(record, metric);
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static bool is_of(const json_t *record, size_t row)
{
    return json_integer_value(json_object_get(record, "row")) == (json_int_t)row;
}

static bool is_completed(const json_t *record)
{
    const char *status = json_string_value(json_object_get(record, "status"));

    return status && !strcmp(status, "completed");
}

struct bench_spread bench_spread(const struct bench_results *results, size_t row, enum bench_metric metric)
{
    struct bench_spread spread = { NAN, NAN, NAN, 0 };
    double values[SPREAD_MAX];
    json_t *record;
    size_t i;

    json_array_foreach (results->runs, i, record) {
        double value = is_of(record, row) && is_completed(record) ? bench_metric(record, metric) : NAN;

        if (!isnan(value) && spread.count < SPREAD_MAX)
            values[spread.count++] = value;
    }
    if (spread.count == 0)
        return spread;
    qsort(values, spread.count, sizeof(values[0]), compare);
    spread.min = values[0];
    spread.max = values[spread.count - 1];
    spread.median = (values[(spread.count - 1) / 2] + values[spread.count / 2]) / 2;
    return spread;
}

const json_t *bench_typical(const struct bench_results *results, size_t row)
{
    struct bench_spread spread = bench_spread(results, row, METRIC_RATE);
    const json_t *nearest = NULL;
    json_t *record;
    size_t i;

    json_array_foreach (results->runs, i, record) {
        if (!is_of(record, row) || !is_completed(record))
            continue;
        if (!nearest || fabs(rate(record) - spread.median) < fabs(rate(nearest) - spread.median))
            nearest = record;
    }
    return nearest;
}

unsigned bench_predicted(const struct bench_results *results, size_t row, unsigned *held)
{
    unsigned count = 0;
    json_t *record;
    size_t i;

    *held = 0;
    json_array_foreach (results->runs, i, record) {
        const json_t *it_held = json_object_get(json_object_get(record, "prediction"), "held");

        if (!it_held || !is_of(record, row))
            continue;
        count++;
        *held += json_is_true(it_held);
    }
    return count;
}

unsigned bench_count(const struct bench_results *results, size_t row, unsigned *failed)
{
    unsigned count = 0;
    json_t *record;
    size_t i;

    *failed = 0;
    json_array_foreach (results->runs, i, record) {
        count += is_of(record, row);
        *failed += is_of(record, row) && !is_completed(record);
    }
    return count;
}
