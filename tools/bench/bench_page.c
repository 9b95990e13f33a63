/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_page.c - what a benchmark found, as one page of HTML that needs nothing else
 *
 *      what was measured, where, when
 *      all rows     throughput | ratio to the ceiling | downtime and its parts | processor time
 *      every row    over time  | faults               | its runs
 *
 * The plots are drawn here, so the page has no program in it, and what it shows can be read from its source.
 */
#include "bench_page.h"

#include "bench_matrix.h"
#include "bench_page_style.h"
#include "bench_plots.h"
#include "bench_svg.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define MIB 1048576.0

static const char *text_of(const json_t *object, const char *name, const char *fallback)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : fallback;
}

static void fact(FILE *to, const char *name, const char *text)
{
    fputs("<div><dt>", to);
    svg_text(to, name);
    fputs("</dt><dd>", to);
    svg_text(to, text);
    fputs("</dd></div>\n", to);
}

static void put_hardware(FILE *to, const char *name, const json_t *hardware)
{
    char text[256];

    if (!json_is_object(hardware))
        return;
    snprintf(text, sizeof(text), "%s, %lld processors, %.1f GiB, Linux %s", text_of(hardware, "host", "?"),
             (long long)json_integer_value(json_object_get(hardware, "cpus")),
             (double)json_integer_value(json_object_get(hardware, "mem")) / 1024, text_of(hardware, "kernel", "?"));
    fact(to, name, text);
}

static void put_axes(FILE *to, const json_t *axes)
{
    const char *key;
    json_t *values, *value;
    size_t i;

    fputs("<div><dt>Matrix</dt><dd>", to);
    json_object_foreach ((json_t *)(uintptr_t)axes, key, values) {
        fputs("<code>", to);
        svg_text(to, key);
        json_array_foreach (values, i, value) {
            fputc(i == 0 ? '=' : ',', to);
            svg_text(to, json_string_value(value));
        }
        fputs("</code> ", to);
    }
    fputs("</dd></div>\n", to);
}

static void put_head(FILE *to, const struct bench_results *results, size_t rows)
{
    const json_t *header = results->header;
    long long repetitions = json_integer_value(json_object_get(header, "repetitions"));
    char text[128];

    fprintf(to,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<title>Ferry benchmark</title>\n<style>\n%s</style></head>\n<body><main>\n"
            "<h1>Ferry benchmark</h1>\n<dl class=\"facts\">\n",
            bench_page_style);
    fact(to, "Started", text_of(header, "started", "?"));
    fact(to, "Ferry", text_of(header, "version", "?"));
    put_hardware(to, "Source", json_object_get(header, "hardware"));
    if (json_object_get(header, "to"))
        put_hardware(to, text_of(header, "to", "?"), json_object_get(header, "other-hardware"));
    else
        fact(to, "Destination", "another process of the same host");
    snprintf(text, sizeof(text), "%zu rows, %lld run%s each, interleaved; %zu of %lld are here", rows, repetitions,
             repetitions == 1 ? "" : "s", json_array_size(results->runs), (long long)rows * repetitions);
    fact(to, "Runs", text);
    put_axes(to, json_object_get(header, "axes"));
    fputs("</dl>\n", to);
}

static void put_failures(FILE *to, const struct bench_results *results)
{
    bool any = false;
    json_t *record;
    size_t i;

    json_array_foreach (results->runs, i, record) {
        const char *text = text_of(record, "error", NULL);
        char label[256];

        if (!text)
            continue;
        fputs(any ? "<li>" : "<section><h2>Failed runs</h2>\n<ul>\n<li>", to);
        any = true;
        plot_label(results, (size_t)json_integer_value(json_object_get(record, "row")), label, sizeof(label));
        svg_text(to, label);
        fputs(": ", to);
        svg_text(to, text);
        fputs("</li>\n", to);
    }
    fputs(any ? "</ul></section>\n" : "", to);
}

/* Every run of a row, in the order in which they were done. */
static void put_runs(FILE *to, const struct bench_results *results, size_t row)
{
    static const char *const columns[] = { "run",
                                           "status",
                                           "MiB/s",
                                           "ceiling",
                                           "ratio %",
                                           "total, s",
                                           "downtime, ms",
                                           "blackout, ms",
                                           "CPU s/GB, source",
                                           "destination",
                                           "total predicted, ms",
                                           "blackout predicted, ms" };
    json_t *record;
    size_t i;

    fputs("<figure><figcaption><b>Runs</b><span>each as it was measured</span></figcaption>\n", to);
    plot_numbers_open(to, columns, 12);
    json_array_foreach (results->runs, i, record) {
        if (json_integer_value(json_object_get(record, "row")) != (json_int_t)row)
            continue;
        fputs("<tr>", to);
        plot_numbers_value(to, (double)json_integer_value(json_object_get(record, "run")) + 1);
        plot_numbers_text(to, text_of(record, "status", "?"));
        plot_numbers_value(to, bench_metric(record, METRIC_RATE) / MIB);
        plot_numbers_value(to, bench_metric(record, METRIC_CEILING) / MIB);
        plot_numbers_value(to, bench_metric(record, METRIC_RATIO) * 100);
        plot_numbers_value(to, bench_metric(record, METRIC_TOTAL));
        plot_numbers_value(to, bench_metric(record, METRIC_DOWNTIME));
        plot_numbers_value(to, bench_metric(record, METRIC_BLACKOUT));
        plot_numbers_value(to, bench_metric(record, METRIC_CPU_SOURCE));
        plot_numbers_value(to, bench_metric(record, METRIC_CPU_DESTINATION));
        plot_numbers_value(to, bench_metric(record, METRIC_TOTAL_PREDICTED));
        plot_numbers_value(to, bench_metric(record, METRIC_BLACKOUT_PREDICTED));
        fputs("</tr>\n", to);
    }
    plot_close(to);
}

static void put_row(FILE *to, const struct bench_results *results, size_t row)
{
    const json_t *typical = bench_typical(results, row);
    char label[256];

    fputs("<article><h3>", to);
    svg_text(to, plot_label(results, row, label, sizeof(label)));
    fputs("</h3>\n", to);
    if (typical) {
        plot_over_time(to, typical);
        plot_faults(to, typical);
    } else {
        fputs("<p>No run of this row has completed.</p>\n", to);
    }
    put_runs(to, results, row);
    fputs("</article>\n", to);
}

static void put_body(FILE *to, const struct bench_results *results, size_t rows)
{
    size_t shown = rows > PLOT_ROWS_MAX ? PLOT_ROWS_MAX : rows;

    fputs("<section><h2>All rows</h2>\n", to);
    if (shown < rows)
        fprintf(to, "<p>The first %zu of %zu rows; the file has them all.</p>\n", shown, rows);
    fputs("<div class=\"grid\">\n", to);
    plot_throughput(to, results, shown);
    plot_ratio(to, results, shown);
    plot_downtime(to, results, shown);
    plot_cpu(to, results, shown);
    plot_predictions(to, results, shown);
    fputs("</div></section>\n", to);
    put_failures(to, results);
    fputs("<section><h2>Row by row</h2>\n<p>Of each row the run that is nearest to its median throughput.</p>\n"
          "<div class=\"grid\">\n",
          to);
    for (size_t row = 0; row < shown; row++)
        put_row(to, results, row);
    fputs("</div></section>\n</main></body></html>\n", to);
}

int bench_page_write(const char *path, const struct bench_results *results, struct ferry_error *err)
{
    size_t rows = matrix_rows(json_object_get(results->header, "axes"));
    char aside[1200];
    FILE *file;
    int ret = 0;

    snprintf(aside, sizeof(aside), "%s.new", path);
    file = fopen(aside, "we");
    if (!file)
        return ferry_error_set(err, -errno, "%s: %s", aside, strerror(errno));
    put_head(file, results, rows);
    put_body(file, results, rows);
    errno = 0;
    if (ferror(file) || fclose(file) == EOF || rename(aside, path) < 0) {
        ret = ferry_error_set(err, errno ? -errno : -EIO, "%s could not be written: %s", path,
                              strerror(errno ? errno : EIO));
        unlink(aside);
    }
    return ret;
}
