/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_plots.c - plots of all rows side by side: a bar each, its label above it
 *
 *      channels=2 tls=on
 *      ############------------|  812        the bar: median; the line: least to most; the mark: the ceiling
 */
#include "bench_plots.h"

#include "bench_matrix.h"
#include "bench_svg.h"

#include <math.h>
#include <string.h>

#define PITCH          36.0
#define BAR_OFFSET     17.0
#define TOP            4.0
#define AXIS_HEIGHT    36.0
#define LEFT           14.0
#define RIGHT          62.0 /* room for a figure behind a bar */
#define FIGURE_WIDTH   44.0
#define LABEL_BYTES    160
#define LABEL_SHOWN    56
#define MIB            1048576.0
#define DOWNTIME_PARTS 6

static const char *const part_names[DOWNTIME_PARTS] = { "stop", "pages", "devices", "transfer", "load", "start" };

char *plot_label(const struct bench_results *results, size_t row, char *to, size_t room)
{
    const json_t *axes = json_object_get(results->header, "axes");
    json_t *settings = matrix_row(axes, row);

    matrix_label(axes, settings, to, room);
    json_decref(settings);
    return to;
}

void plot_open(FILE *to, const char *title, const char *about)
{
    fputs("<figure><figcaption><b>", to);
    svg_text(to, title);
    fputs("</b><span>", to);
    svg_text(to, about);
    fputs("</span></figcaption>\n", to);
}

void plot_legend(FILE *to, const char *const names[], unsigned count)
{
    fputs("<ul class=\"legend\">", to);
    for (unsigned i = 0; i < count; i++) {
        fprintf(to, "<li><i class=\"k%u\"></i>", i + 1);
        svg_text(to, names[i]);
        fputs("</li>", to);
    }
    fputs("</ul>\n", to);
}

void plot_numbers_open(FILE *to, const char *const columns[], unsigned count)
{
    fputs("<details><summary>Numbers</summary><div class=\"scroll\"><table><tr>", to);
    for (unsigned i = 0; i < count; i++) {
        fputs("<th>", to);
        svg_text(to, columns[i]);
        fputs("</th>", to);
    }
    fputs("</tr>\n", to);
}

void plot_numbers_text(FILE *to, const char *text)
{
    fputs("<td class=\"text\">", to);
    svg_text(to, text);
    fputs("</td>", to);
}

void plot_numbers_value(FILE *to, double value)
{
    char text[24];

    fprintf(to, "<td>%s</td>", svg_number(value, text));
}

void plot_close(FILE *to)
{
    fputs("</table></div></details></figure>\n", to);
}

struct svg_area plot_bars_begin(FILE *to, size_t rows, double most, const char *unit)
{
    double height = TOP + (double)rows * PITCH;
    struct svg_area area = { .to = to,
                             .left = LEFT,
                             .right = SVG_WIDTH - RIGHT,
                             .top = TOP,
                             .bottom = height,
                             .x_most = svg_round_up(most),
                             .y_most = 1 };

    svg_begin(to, height + AXIS_HEIGHT, unit);
    svg_x_axis(&area, unit);
    return area;
}

/* The label of a row, and the top of its bar. */
double plot_bar_label(const struct svg_area *area, const struct bench_results *results, size_t row)
{
    double top = TOP + (double)row * PITCH;
    char label[LABEL_BYTES];

    plot_label(results, row, label, sizeof(label));
    if (strlen(label) > LABEL_SHOWN)
        snprintf(label + LABEL_SHOWN - 3, sizeof(label) - LABEL_SHOWN + 3, "...");
    svg_label(area->to, area->left + 2, top + BAR_OFFSET - 5, "start", label);
    return top + BAR_OFFSET;
}

void plot_bar_mark(const struct svg_area *area, double at, double top)
{
    if (!isnan(at))
        fprintf(area->to, "<path class=\"mark\" d=\"M%.1f %.1fv%.1f\"/>\n", svg_x(area, at), top - 2,
                PLOT_BAR_HEIGHT + 4);
}

/* Behind whatever is drawn furthest to the right. */
static void bar_figure(const struct svg_area *area, double at, double top, double value, const char *unit)
{
    char number[24], text[40];

    snprintf(text, sizeof(text), "%s%s", svg_number(value, number), unit);
    svg_label(area->to, svg_x(area, at) + 6, top + PLOT_BAR_HEIGHT - 2, "start", text);
}

/* Where a figure goes that would begin at @at, if a mark at @mark would otherwise stand in it. */
static double beside_mark(const struct svg_area *area, double at, double mark)
{
    return mark > at && svg_x(area, mark) < svg_x(area, at) + FIGURE_WIDTH ? mark : at;
}

void plot_bar_figure(const struct svg_area *area, double at, double mark, double top, double value, const char *unit)
{
    bar_figure(area, beside_mark(area, at, mark), top, value, unit);
}

static void whisker(const struct svg_area *area, struct bench_spread spread, double unit, double top)
{
    double y = top + PLOT_BAR_HEIGHT / 2;

    if (spread.count > 1)
        fprintf(area->to, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6\"/>\n",
                svg_x(area, spread.min / unit), y, svg_x(area, spread.max / unit), svg_x(area, spread.min / unit),
                y - 3, svg_x(area, spread.max / unit), y - 3);
}

static double largest(const struct bench_results *results, size_t rows, enum bench_metric metric)
{
    double most = 0;

    for (size_t row = 0; row < rows; row++) {
        struct bench_spread spread = bench_spread(results, row, metric);

        if (spread.count > 0 && spread.max > most)
            most = spread.max;
    }
    return most;
}

static void number_row(FILE *to, const struct bench_results *results, size_t row, enum bench_metric metric, double unit)
{
    struct bench_spread spread = bench_spread(results, row, metric);
    char label[LABEL_BYTES];

    fputs("<tr>", to);
    plot_numbers_text(to, plot_label(results, row, label, sizeof(label)));
    plot_numbers_value(to, spread.min / unit);
    plot_numbers_value(to, spread.median / unit);
    plot_numbers_value(to, spread.max / unit);
}

void plot_throughput(FILE *to, const struct bench_results *results, size_t rows)
{
    static const char *const columns[] = { "row",     "min",        "median",      "max",
                                           "ceiling", "one stream", "its streams", "cipher" };
    double most = fmax(largest(results, rows, METRIC_RATE), largest(results, rows, METRIC_CEILING));
    struct svg_area area;

    plot_open(to, "Throughput", "MiB/s on the wire, from the first page to the end");
    fputs("<ul class=\"legend\"><li><i class=\"k1\"></i>median; line: least to most</li>"
          "<li><i class=\"mark\"></i>ceiling of the bare link</li></ul>\n",
          to);
    area = plot_bars_begin(to, rows, most / MIB, "MiB/s");
    for (size_t row = 0; row < rows; row++) {
        struct bench_spread rate = bench_spread(results, row, METRIC_RATE);
        double ceiling = bench_spread(results, row, METRIC_CEILING).median, top = plot_bar_label(&area, results, row);

        if (rate.count == 0)
            continue;
        svg_bar(&area, "k1", 0, rate.median / MIB, top, PLOT_BAR_HEIGHT);
        plot_bar_mark(&area, ceiling / MIB, top);
        whisker(&area, rate, MIB, top);
        plot_bar_figure(&area, rate.max / MIB, ceiling / MIB, top, rate.median / MIB, "");
    }
    svg_end(to);
    plot_numbers_open(to, columns, 8);
    for (size_t row = 0; row < rows; row++) {
        const json_t *typical = bench_typical(results, row);
        const json_t *ceiling = json_object_get(typical, "ceiling"), *one = json_object_get(ceiling, "one");
        const json_t *streams = json_object_get(ceiling, "streams"), *cipher = json_object_get(ceiling, "cipher");

        number_row(to, results, row, METRIC_RATE, MIB);
        plot_numbers_value(to, bench_spread(results, row, METRIC_CEILING).median / MIB);
        plot_numbers_value(to, one ? json_number_value(one) / MIB : NAN);
        plot_numbers_value(to, streams ? json_number_value(streams) / MIB : NAN);
        plot_numbers_value(to, cipher ? json_number_value(cipher) / MIB : NAN);
        fputs("</tr>\n", to);
    }
    plot_close(to);
}

void plot_ratio(FILE *to, const struct bench_results *results, size_t rows)
{
    static const char *const columns[] = { "row", "min %", "median %", "max %" };
    struct svg_area area;

    plot_open(to, "Ratio to the ceiling", "% of what bare streams carried beside the same run");
    area = plot_bars_begin(to, rows, fmax(100, largest(results, rows, METRIC_RATIO) * 100), "%");
    for (size_t row = 0; row < rows; row++) {
        struct bench_spread ratio = bench_spread(results, row, METRIC_RATIO);
        double top = plot_bar_label(&area, results, row);

        if (ratio.count == 0)
            continue;
        svg_bar(&area, "k3", 0, ratio.median * 100, top, PLOT_BAR_HEIGHT);
        plot_bar_mark(&area, 100, top); /* not across labels */
        whisker(&area, ratio, 0.01, top);
        plot_bar_figure(&area, ratio.max * 100, 100, top, ratio.median * 100, " %");
    }
    svg_end(to);
    plot_numbers_open(to, columns, 4);
    for (size_t row = 0; row < rows; row++) {
        number_row(to, results, row, METRIC_RATIO, 0.01);
        fputs("</tr>\n", to);
    }
    plot_close(to);
}

static double part_of(const json_t *record, unsigned part)
{
    const json_t *parts = json_object_get(json_object_get(record, "source"), "downtime-parts");
    const json_t *value = json_object_get(parts, part_names[part]);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void downtime_numbers(FILE *to, const struct bench_results *results, size_t rows)
{
    static const char *const columns[] = { "row",   "min",     "median",   "max",  "blackout", "stop",
                                           "pages", "devices", "transfer", "load", "start" };

    plot_numbers_open(to, columns, 11);
    for (size_t row = 0; row < rows; row++) {
        const json_t *typical = bench_typical(results, row);

        number_row(to, results, row, METRIC_DOWNTIME, 1);
        plot_numbers_value(to, bench_spread(results, row, METRIC_BLACKOUT).median);
        for (unsigned part = 0; part < DOWNTIME_PARTS; part++)
            plot_numbers_value(to, part_of(typical, part));
        fputs("</tr>\n", to);
    }
    plot_close(to);
}

void plot_downtime(FILE *to, const struct bench_results *results, size_t rows)
{
    double most = 0;
    struct svg_area area;

    for (size_t row = 0; row < rows; row++) {
        double value = bench_metric(bench_typical(results, row), METRIC_DOWNTIME);

        most = value > most ? value : most;
    }
    plot_open(to, "Downtime and its parts", "ms, of the run nearest to the row's median throughput");
    plot_legend(to, part_names, DOWNTIME_PARTS);
    area = plot_bars_begin(to, rows, most, "ms");
    for (size_t row = 0; row < rows; row++) {
        const json_t *typical = bench_typical(results, row);
        double top = plot_bar_label(&area, results, row), at = 0;

        for (unsigned part = 0; part < DOWNTIME_PARTS; part++) {
            double value = part_of(typical, part);
            char class[8];

            snprintf(class, sizeof(class), "k%u", part + 1);
            if (value > 0)
                svg_bar(&area, class, at, at + value, top, PLOT_BAR_HEIGHT);
            at += value > 0 ? value : 0;
        }
        if (typical)
            bar_figure(&area, at, top, bench_metric(typical, METRIC_DOWNTIME), "");
    }
    svg_end(to);
    downtime_numbers(to, results, rows);
}

void plot_cpu(FILE *to, const struct bench_results *results, size_t rows)
{
    static const char *const names[] = { "source", "destination" };
    static const char *const columns[] = { "row", "min source", "median source", "max source", "median destination" };
    double most = fmax(largest(results, rows, METRIC_CPU_SOURCE), largest(results, rows, METRIC_CPU_DESTINATION));
    struct svg_area area;

    plot_open(to, "Processor time", "s for each GB (10^9 bytes) of pages, median");
    plot_legend(to, names, 2);
    area = plot_bars_begin(to, rows, most, "s per GB");
    for (size_t row = 0; row < rows; row++) {
        double source = bench_spread(results, row, METRIC_CPU_SOURCE).median;
        double destination = bench_spread(results, row, METRIC_CPU_DESTINATION).median;
        double top = plot_bar_label(&area, results, row);
        char text[24], both[64];
        int used;

        if (isnan(source) || isnan(destination))
            continue;
        svg_bar(&area, "k1", 0, source, top, PLOT_BAR_HEIGHT / 2);
        svg_bar(&area, "k2", 0, destination, top + PLOT_BAR_HEIGHT / 2, PLOT_BAR_HEIGHT / 2);
        used = snprintf(both, sizeof(both), "%s, ", svg_number(source, text));
        snprintf(both + used, sizeof(both) - (size_t)used, "%s", svg_number(destination, text));
        svg_label(to, svg_x(&area, fmax(source, destination)) + 4, top + PLOT_BAR_HEIGHT - 2, "start", both);
    }
    svg_end(to);
    plot_numbers_open(to, columns, 5);
    for (size_t row = 0; row < rows; row++) {
        number_row(to, results, row, METRIC_CPU_SOURCE, 1);
        plot_numbers_value(to, bench_spread(results, row, METRIC_CPU_DESTINATION).median);
        fputs("</tr>\n", to);
    }
    plot_close(to);
}
