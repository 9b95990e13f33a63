/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_table.c - what a benchmark found, as a table for a terminal */
#include "bench_table.h"

#include "bench_matrix.h"

#include <math.h>
#include <string.h>

#define LABEL_BYTES   160
#define LABEL_COLUMNS 44
#define MIB           1048576.0

/* As many digits as mean something. */
static const char *figure(double value, char to[16])
{
    if (isnan(value))
        return strcpy(to, "-");
    snprintf(to, 16, fabs(value) >= 100 ? "%.0f" : fabs(value) >= 10 ? "%.1f" : "%.2f", value);
    return to;
}

static void print_spread(FILE *to, struct bench_spread spread, double unit)
{
    char min[16], median[16], max[16];

    fprintf(to, " %6s %6s %6s ", figure(spread.min / unit, min), figure(spread.median / unit, median),
            figure(spread.max / unit, max));
}

static void print_median(FILE *to, const struct bench_results *results, size_t row, enum bench_metric metric,
                         double unit)
{
    char text[16];

    fprintf(to, " %6s", figure(bench_spread(results, row, metric).median / unit, text));
}

static char *label_of(const struct bench_results *results, size_t row, char to[LABEL_BYTES])
{
    const json_t *axes = json_object_get(results->header, "axes");
    json_t *settings = matrix_row(axes, row);

    matrix_label(axes, settings, to, LABEL_BYTES);
    json_decref(settings);
    return to;
}

static void print_row(FILE *to, const struct bench_results *results, size_t row, int columns)
{
    char label[LABEL_BYTES];
    unsigned failed, count = bench_count(results, row, &failed);

    label_of(results, row, label);
    fprintf(to, "%-*s", columns, label);
    if ((int)strlen(label) > columns)
        fprintf(to, "\n%*s", columns, "");
    print_spread(to, bench_spread(results, row, METRIC_RATE), MIB);
    print_median(to, results, row, METRIC_CEILING, MIB);
    print_median(to, results, row, METRIC_RATIO, 0.01);
    fputc(' ', to);
    print_spread(to, bench_spread(results, row, METRIC_DOWNTIME), 1);
    print_median(to, results, row, METRIC_BLACKOUT, 1);
    print_median(to, results, row, METRIC_TOTAL, 1);
    print_median(to, results, row, METRIC_CPU_SOURCE, 1);
    print_median(to, results, row, METRIC_CPU_DESTINATION, 1);
    fprintf(to, "  %4u", count);
    if (failed > 0)
        fprintf(to, " (%u failed)", failed);
    fputc('\n', to);
}

/* What was predicted | what came | how far off, of the run in the middle of each. */
static void print_beside(FILE *to, const struct bench_results *results, size_t row, enum bench_metric first,
                         double unit)
{
    char measured[16], predicted[16], error[16];

    fprintf(to, " %8s %8s %8s ", figure(bench_spread(results, row, first + 1).median / unit, predicted),
            figure(bench_spread(results, row, first).median / unit, measured),
            figure(bench_spread(results, row, first + 2).median, error));
}

static void print_predictions(FILE *to, const struct bench_results *results, size_t rows, int columns)
{
    unsigned all = 0;

    for (size_t row = 0; row < rows; row++) {
        char label[LABEL_BYTES], measured[16], predicted[16];
        unsigned held, count = bench_predicted(results, row, &held);

        if (count == 0)
            continue;
        if (all == 0)
            fprintf(to, "\n%-*s %-27s  %-27s  %-12s\n%-*s %8s %8s %8s  %8s %8s %8s  %6s %6s  %5s\n", columns,
                    "predicted just before", " total, s", " blackout, ms", "rounds", columns, "settings", "predict.",
                    "measured", "error, %", "predict.", "measured", "error, %", "pred.", "meas.", "held");
        all += count;
        fprintf(to, "%-*s", columns, label_of(results, row, label));
        if ((int)strlen(label) > columns)
            fprintf(to, "\n%*s", columns, "");
        print_beside(to, results, row, METRIC_TOTAL_MEASURED, 1000);
        print_beside(to, results, row, METRIC_BLACKOUT_MEASURED, 1);
        fprintf(to, " %6s %6s  %2u/%u\n", figure(bench_spread(results, row, METRIC_ROUNDS_PREDICTED).median, predicted),
                figure(bench_spread(results, row, METRIC_ROUNDS_MEASURED).median, measured), held, count);
    }
}

static void print_failures(FILE *to, const struct bench_results *results)
{
    json_t *record;
    size_t i;

    json_array_foreach (results->runs, i, record) {
        const char *text = json_string_value(json_object_get(record, "error"));
        size_t row = (size_t)json_integer_value(json_object_get(record, "row"));
        char label[LABEL_BYTES];

        if (text)
            fprintf(to, "failed: %s: run %lld: %s\n", label_of(results, row, label),
                    (long long)json_integer_value(json_object_get(record, "run")) + 1, text);
    }
}

void bench_table(FILE *to, const struct bench_results *results)
{
    size_t rows = matrix_rows(json_object_get(results->header, "axes"));
    int columns = 8;

    for (size_t row = 0; row < rows; row++) {
        char label[LABEL_BYTES];
        int bytes = (int)strlen(label_of(results, row, label));

        columns = bytes > columns ? bytes : columns;
    }
    columns = columns > LABEL_COLUMNS ? LABEL_COLUMNS : columns;
    fprintf(to, "%-*s  %-20s  %-12s   %-20s %6s %6s  %-13s\n", columns, "", "throughput, MiB/s", "ceiling   of",
            "downtime, ms", "black-", "total,", "CPU, s per GB");
    fprintf(to, "%-*s %6s %6s %6s  %6s %6s  %6s %6s %6s  %6s %6s %6s %6s  %4s\n", columns, "settings", "min", "median",
            "max", "MiB/s", "it, %", "min", "median", "max", "out,ms", "s", "source", "dest.", "runs");
    for (size_t row = 0; row < rows; row++)
        print_row(to, results, row, columns);
    print_predictions(to, results, rows, columns < 22 ? 22 : columns);
    print_failures(to, results);
}
