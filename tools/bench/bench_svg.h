/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_svg.h - the drawing of plots: text that is safe in a page, scales, axes, bars and lines
 *
 *      0 ................................ SVG_WIDTH     a plot is as wide as a telephone; a page puts several side by
 *      |      | area                 |                  side, so text has the same size everywhere
 *      |      |______________________|
 *      |       ticks, unit                              colours are classes of the page's style: k1 .. k6
 */
#ifndef TOOLS_BENCH_SVG_H
#define TOOLS_BENCH_SVG_H

#include <stddef.h>
#include <stdio.h>

#define SVG_WIDTH 380.0

/* Text for a page: what would be markup is written as what it is. */
void svg_text(FILE *to, const char *text);

/* A figure as one reads it: "0.31", "12.4", "1240"; "-" for NAN.  Returns @to. */
const char *svg_number(double value, char to[24]);

struct svg_area {
    FILE *to;
    double left, top, right, bottom; /* in the picture */
    double x_most, y_most;           /* what lies at right, and at top; both begin at 0 */
};

/* @what: said to those who cannot see it. */
void svg_begin(FILE *to, double height, const char *what);
void svg_end(FILE *to);

/* The least round number that is not below @value, for a scale to end at. */
double svg_round_up(double value);

double svg_x(const struct svg_area *area, double value);
double svg_y(const struct svg_area *area, double value);

/* Lines and figures at four or five places, and what they count below the axis. */
void svg_x_axis(const struct svg_area *area, const char *unit);
void svg_y_axis(const struct svg_area *area);

/* @count points, joined; NAN breaks the line. */
void svg_line(const struct svg_area *area, const char *class, const double *x, const double *y, size_t count);

/* From @from to @until along the x axis; @top: in the picture. */
void svg_bar(const struct svg_area *area, const char *class, double from, double until, double top, double height);

void svg_label(FILE *to, double x, double y, const char *anchor, const char *text);

#endif
