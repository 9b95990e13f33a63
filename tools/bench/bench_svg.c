/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_svg.c - the drawing of plots: text that is safe in a page, scales, axes, bars and lines */
#include "bench_svg.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define TICKS       4
#define TICK_OFFSET 13 /* from an axis to the foot of its figures */
#define UNIT_OFFSET 28

void svg_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '&':
            fputs("&amp;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        default:
            if ((unsigned char)*text >= ' ')
                fputc(*text, to);
        }
    }
}

const char *svg_number(double value, char to[24])
{
    if (isnan(value))
        return strcpy(to, "-");
    if (value == floor(value) && fabs(value) < 1000)
        snprintf(to, 24, "%.0f", value);
    else
        snprintf(to, 24,
                 fabs(value) >= 100   ? "%.0f"
                 : fabs(value) >= 10  ? "%.1f"
                 : fabs(value) >= 0.1 ? "%.2f"
                                      : "%.2g",
                 value);
    return to;
}

/* A tick's figure: no more digits than the step between ticks has. */
static const char *tick_number(double value, double step, char to[24])
{
    int digits = 0;

    while (digits < 6 && fabs(step - round(step)) > 1e-6) {
        step *= 10;
        digits++;
    }
    snprintf(to, 24, "%.*f", digits, value);
    return to;
}

void svg_begin(FILE *to, double height, const char *what)
{
    fprintf(to, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", SVG_WIDTH, height);
    svg_text(to, what);
    fputs("\">\n", to);
}

void svg_end(FILE *to)
{
    fputs("</svg>\n", to);
}

double svg_round_up(double value)
{
    static const double steps[] = { 1, 1.2, 1.6, 2, 2.4, 2.8, 3.2, 4, 6, 8, 10 };
    double power;

    if (!(value > 0) || isinf(value))
        return 1;
    power = pow(10, floor(log10(value)));
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (value <= steps[i] * power * (1 + 1e-9))
            return steps[i] * power;
    return 10 * power;
}

double svg_x(const struct svg_area *area, double value)
{
    double share = value < 0 ? 0 : value > area->x_most ? 1 : value / area->x_most;

    return area->left + share * (area->right - area->left);
}

double svg_y(const struct svg_area *area, double value)
{
    double share = value < 0 ? 0 : value > area->y_most ? 1 : value / area->y_most;

    return area->bottom - share * (area->bottom - area->top);
}

void svg_label(FILE *to, double x, double y, const char *anchor, const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    svg_text(to, text);
    fputs("</text>\n", to);
}

void svg_x_axis(const struct svg_area *area, const char *unit)
{
    double step = area->x_most / TICKS;
    char text[24];

    for (int i = 0; i <= TICKS; i++) {
        double x = svg_x(area, i * step);

        fprintf(area->to, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, area->top, area->bottom);
        /* The outer ones stay inside: there is a figure of the other axis, or an end of the picture. */
        svg_label(area->to, x, area->bottom + TICK_OFFSET,
                  i == 0       ? "start"
                  : i == TICKS ? "end"
                               : "middle",
                  tick_number(i * step, step, text));
    }
    svg_label(area->to, (area->left + area->right) / 2, area->bottom + UNIT_OFFSET, "middle", unit);
}

void svg_y_axis(const struct svg_area *area)
{
    double step = area->y_most / TICKS;
    char text[24];

    for (int i = 0; i <= TICKS; i++) {
        double y = svg_y(area, i * step);

        fprintf(area->to, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", area->left, y, area->right);
        svg_label(area->to, area->left - 5, y + 4, "end", tick_number(i * step, step, text));
    }
}

void svg_line(const struct svg_area *area, const char *class, const double *x, const double *y, size_t count)
{
    bool broken = true;

    fprintf(area->to, "<path class=\"line %s\" d=\"", class);
    for (size_t i = 0; i < count; i++) {
        if (isnan(y[i])) {
            broken = true;
            continue;
        }
        fprintf(area->to, "%c%.1f %.1f", broken ? 'M' : 'L', svg_x(area, x[i]), svg_y(area, y[i]));
        broken = false;
    }
    fputs("\"/>\n", area->to);
}

void svg_bar(const struct svg_area *area, const char *class, double from, double until, double top, double height)
{
    double x = svg_x(area, from), end = svg_x(area, until);

    fprintf(area->to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", class, x, top,
            end > x ? end - x : 0, height);
}
