/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_plot_predict.c - what was predicted just before each run, beside what came of it
 *
 *      channels=2 tls=on
 *      ############  |  812 ms, -9 %         the bar: measured; the mark: predicted; medians
 */
#include "bench_plots.h"

#include <math.h>
#include <stdio.h>

static double median(const struct bench_results *results, size_t row, enum bench_metric metric)
{
    return bench_spread(results, row, metric).median;
}

static void numbers(FILE *to, const struct bench_results *results, size_t rows)
{
    static const char *const columns[] = { "row",
                                           "total predicted, ms",
                                           "measured, ms",
                                           "error %",
                                           "blackout predicted, ms",
                                           "measured, ms",
                                           "error %",
                                           "rounds predicted",
                                           "measured",
                                           "go or no: held",
                                           "of" };
    static const enum bench_metric metrics[] = { METRIC_TOTAL_PREDICTED,   METRIC_TOTAL_MEASURED,
                                                 METRIC_TOTAL_ERROR,       METRIC_BLACKOUT_PREDICTED,
                                                 METRIC_BLACKOUT_MEASURED, METRIC_BLACKOUT_ERROR,
                                                 METRIC_ROUNDS_PREDICTED,  METRIC_ROUNDS_MEASURED };
    char label[160];

    plot_numbers_open(to, columns, 11);
    for (size_t row = 0; row < rows; row++) {
        unsigned held, count = bench_predicted(results, row, &held);

        fputs("<tr>", to);
        plot_numbers_text(to, plot_label(results, row, label, sizeof(label)));
        for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
            plot_numbers_value(to, median(results, row, metrics[i]));
        plot_numbers_value(to, held);
        plot_numbers_value(to, count);
        fputs("</tr>\n", to);
    }
    plot_close(to);
}

void plot_predictions(FILE *to, const struct bench_results *results, size_t rows)
{
    struct svg_area area;
    unsigned count = 0, held;
    double most = 0;

    for (size_t row = 0; row < rows; row++) {
        count += bench_predicted(results, row, &held);
        most =
            fmax(most, fmax(median(results, row, METRIC_TOTAL_PREDICTED), median(results, row, METRIC_TOTAL_MEASURED)));
    }
    if (count == 0)
        return;
    plot_open(to, "Predicted just before", "total time, ms, and how far off the prediction was");
    fputs("<ul class=\"legend\"><li><i class=\"k4\"></i>measured, median</li>"
          "<li><i class=\"mark\"></i>predicted</li></ul>\n",
          to);
    area = plot_bars_begin(to, rows, most, "ms");
    for (size_t row = 0; row < rows; row++) {
        double predicted = median(results, row, METRIC_TOTAL_PREDICTED);
        double measured = median(results, row, METRIC_TOTAL_MEASURED), top = plot_bar_label(&area, results, row);

        if (isnan(measured))
            continue;
        svg_bar(&area, "k4", 0, measured, top, PLOT_BAR_HEIGHT);
        plot_bar_mark(&area, predicted, top);
        plot_bar_figure(&area, measured, predicted, top, median(results, row, METRIC_TOTAL_ERROR), " %");
    }
    svg_end(to);
    numbers(to, results, rows);
}
