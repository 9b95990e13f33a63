/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_plot_run.c - plots of one migration: what happened when, and how long faults waited
 *
 *      MiB/s |  /''\__/''''\
 *            | |   :   :  ..|.....      throughput; dirty rate, a step per round; a border where a round began
 *            '-----'---'----------- s
 */
#include "bench_plots.h"
#include "bench_svg.h"

#include <math.h>
#include <stdlib.h>

#define HEIGHT      250.0
#define LEFT        46.0
#define TOP         18.0
#define BOTTOM      212.0
#define MIB         1048576.0
#define POINTS      90   /* more would be noise at this width */
#define LEAST_MS    50   /* bytes of page channels are told in larger pieces */
#define BORDER_ROOM 16.0 /* between two numbers of rounds */
#define BUCKETS_MAX 64

struct curve {
    double x[2 * POINTS + 4], y[2 * POINTS + 4];
    size_t count;
};

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

/* What was sent between two points of the history, over the time between them. */
static void take_throughput(const json_t *record, double seconds, struct curve *curve)
{
    const json_t *history = json_object_get(record, "progress_history");
    double at_ms = 0, at_bytes = 0, least_ms = fmax(seconds * 1000 / POINTS, LEAST_MS);
    json_t *point;
    size_t i;

    json_array_foreach (history, i, point) {
        double ms = number(point, "duration"), bytes = number(json_object_get(point, "ram"), "transferred_bytes");

        if (i == 0)
            at_ms = ms, at_bytes = bytes;
        if (i == 0 || ms - at_ms < least_ms || curve->count >= POINTS)
            continue;
        curve->x[curve->count] = (at_ms + ms) / 2000;
        curve->y[curve->count++] = (bytes - at_bytes) / MIB / ((ms - at_ms) / 1000);
        at_ms = ms;
        at_bytes = bytes;
    }
}

/* A round ends with what its end has found. */
static void take_dirty(const json_t *record, struct curve *curve)
{
    json_t *round;
    size_t i;

    json_array_foreach (json_object_get(record, "rounds"), i, round) {
        double rate = number(round, "dirty-bytes-per-second") / MIB;

        if (curve->count + 2 > 2 * POINTS)
            break;
        curve->x[curve->count] = number(round, "from-ms") / 1000;
        curve->y[curve->count++] = rate;
        curve->x[curve->count] = number(round, "to-ms") / 1000;
        curve->y[curve->count++] = rate;
    }
}

static double most_of(const struct curve *curve)
{
    double most = 0;

    for (size_t i = 0; i < curve->count; i++)
        most = curve->y[i] > most ? curve->y[i] : most;
    return most;
}

static void draw_borders(const struct svg_area *area, const json_t *record)
{
    double last = -BORDER_ROOM;
    json_t *round;
    size_t i;
    char text[24];

    json_array_foreach (json_object_get(record, "rounds"), i, round) {
        double x = svg_x(area, number(round, "from-ms") / 1000);

        fprintf(area->to, "<path class=\"border\" d=\"M%.1f %.1fV%.1f\"/>\n", x, area->top, area->bottom);
        if (x - last < BORDER_ROOM)
            continue;
        snprintf(text, sizeof(text), "%zu", i + 1);
        svg_label(area->to, x, area->top - 4, "middle", text);
        last = x;
    }
}

/* The points of the throughput's line. */
static void throughput_numbers(FILE *to, const struct curve *curve)
{
    fputs("</table>\n<table><tr><th>throughput at, s</th><th>MiB/s</th></tr>\n", to);
    for (size_t i = 0; i < curve->count; i++) {
        fputs("<tr>", to);
        plot_numbers_value(to, curve->x[i]);
        plot_numbers_value(to, curve->y[i]);
        fputs("</tr>\n", to);
    }
}

static void numbers(FILE *to, const json_t *record, const struct curve *throughput)
{
    static const char *const columns[] = { "round", "from, ms", "to, ms", "sent, MiB", "MiB/s", "dirty, MiB/s" };
    json_t *round;
    size_t i;

    plot_numbers_open(to, columns, 6);
    json_array_foreach (json_object_get(record, "rounds"), i, round) {
        fputs("<tr>", to);
        plot_numbers_value(to, (double)(i + 1));
        plot_numbers_value(to, number(round, "from-ms"));
        plot_numbers_value(to, number(round, "to-ms"));
        plot_numbers_value(to, number(round, "bytes") / MIB);
        plot_numbers_value(to, number(round, "bytes-per-second") / MIB);
        plot_numbers_value(to, number(round, "dirty-bytes-per-second") / MIB);
        fputs("</tr>\n", to);
    }
    throughput_numbers(to, throughput);
    plot_close(to);
}

void plot_over_time(FILE *to, const json_t *record)
{
    static const char *const names[] = { "throughput", "dirty rate, by round" };
    double seconds = number(json_object_get(record, "source"), "total-time-us") / 1e6;
    struct curve *curves = calloc(2, sizeof(*curves));
    struct svg_area area = {
        .to = to, .left = LEFT, .right = SVG_WIDTH - 14, .top = TOP, .bottom = BOTTOM, .x_most = svg_round_up(seconds)
    };

    if (!curves)
        return;
    take_throughput(record, seconds, &curves[0]);
    take_dirty(record, &curves[1]);
    area.y_most = svg_round_up(fmax(most_of(&curves[0]), most_of(&curves[1])));
    plot_open(to, "Over time", "MiB/s; rounds are numbered above");
    plot_legend(to, names, 2);
    svg_begin(to, HEIGHT, "throughput and dirty rate over time");
    svg_x_axis(&area, "s since the start");
    svg_y_axis(&area);
    draw_borders(&area, record);
    svg_line(&area, "s1", curves[0].x, curves[0].y, curves[0].count);
    svg_line(&area, "s2", curves[1].x, curves[1].y, curves[1].count);
    svg_end(to);
    numbers(to, record, &curves[0]);
    free(curves);
}

/* The i-th bucket begins at 2^i microseconds. */
static void bucket_name(size_t bucket, char to[24])
{
    double us = ldexp(1, (int)bucket);

    if (us < 1000)
        snprintf(to, 24, "%.0f us", us);
    else if (us < 1e6)
        snprintf(to, 24, "%.0f ms", us / 1024);
    else
        snprintf(to, 24, "%.0f s", us / 1048576);
}

static void fault_numbers(FILE *to, const json_t *buckets, size_t count)
{
    static const char *const columns[] = { "from", "faults" };
    char name[24];

    plot_numbers_open(to, columns, 2);
    for (size_t i = 0; i < count; i++) {
        bucket_name(i, name);
        fputs("<tr>", to);
        plot_numbers_text(to, name);
        plot_numbers_value(to, json_number_value(json_array_get(buckets, i)));
        fputs("</tr>\n", to);
    }
    plot_close(to);
}

void plot_faults(FILE *to, const json_t *record)
{
    const json_t *postcopy = json_object_get(json_object_get(record, "destination"), "postcopy");
    const json_t *buckets = json_object_get(json_object_get(postcopy, "latency"), "distribution");
    struct svg_area area = { .to = to, .left = LEFT, .right = SVG_WIDTH - 14, .top = TOP, .bottom = BOTTOM };
    size_t count = 0;
    double most = 0;
    char name[24];

    for (size_t i = 0; i < json_array_size(buckets) && i < BUCKETS_MAX; i++) {
        double faults = json_number_value(json_array_get(buckets, i));

        count = faults > 0 ? i + 1 : count;
        most = fmax(most, faults);
    }
    if (count == 0)
        return;
    area.x_most = (double)count;
    area.y_most = svg_round_up(most);
    plot_open(to, "How long the guest waited for a page", "faults after the switch, by how long they took");
    svg_begin(to, HEIGHT, "faults by how long they took");
    svg_y_axis(&area);
    for (size_t i = 0; i < count; i++) {
        double top = svg_y(&area, json_number_value(json_array_get(buckets, i)));

        svg_bar(&area, "k1", (double)i + 0.1, (double)i + 0.9, top, area.bottom - top);
        bucket_name(i, name);
        if (i % 4 == 0)
            svg_label(to, svg_x(&area, (double)i), area.bottom + 16, "start", name);
    }
    svg_end(to);
    fault_numbers(to, buckets, count);
}
