/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_plots.h - the plots of a page: of all rows side by side, and of one row; each with its numbers */
#ifndef TOOLS_BENCH_PLOTS_H
#define TOOLS_BENCH_PLOTS_H

#include "bench_results.h"
#include "bench_svg.h"

#define PLOT_ROWS_MAX 200 /* a page with more would not be read; the table has them all */

/* What tells a row from the others.  Returns @to. */
char *plot_label(const struct bench_results *results, size_t row, char *to, size_t room);

/* The figure's frame: <figure> with a title, what its colours mean, and <details> for the numbers. */
void plot_open(FILE *to, const char *title, const char *about);
void plot_legend(FILE *to, const char *const names[], unsigned count);
void plot_numbers_open(FILE *to, const char *const columns[], unsigned count);
void plot_numbers_text(FILE *to, const char *text);
void plot_numbers_value(FILE *to, double value);
void plot_close(FILE *to);

/* All rows: a bar each, from the least to the most a line across its end, and what could have been. */
void plot_throughput(FILE *to, const struct bench_results *results, size_t rows);
void plot_ratio(FILE *to, const struct bench_results *results, size_t rows);
void plot_downtime(FILE *to, const struct bench_results *results, size_t rows);
void plot_cpu(FILE *to, const struct bench_results *results, size_t rows);

/* Total time as predicted and as measured; nothing where nothing was predicted. */
void plot_predictions(FILE *to, const struct bench_results *results, size_t rows);

/* For plots of bars: an area with a scale up to @most; what a row is called, and the top of its bar; a figure behind
 * what ends at @at, or behind a mark at @mark that would stand in it. */
struct svg_area plot_bars_begin(FILE *to, size_t rows, double most, const char *unit);
double plot_bar_label(const struct svg_area *area, const struct bench_results *results, size_t row);
void plot_bar_mark(const struct svg_area *area, double at, double top);
void plot_bar_figure(const struct svg_area *area, double at, double mark, double top, double value, const char *unit);

#define PLOT_BAR_HEIGHT 12.0

/* One row, by the run that is nearest to its median. */
void plot_over_time(FILE *to, const json_t *record);

/* How long faults waited for their page, where the report says it; otherwise nothing. */
void plot_faults(FILE *to, const json_t *record);

#endif
