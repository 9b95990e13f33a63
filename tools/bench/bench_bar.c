/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_bar.c - how far a benchmark is: a bar on a terminal, a line for each run elsewhere */
#include "bench_bar.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_COLUMNS 24
#define LINE_BYTES  512
#define REDRAW_NS   (100 * NS_PER_MS)

void bench_bar_start(struct bench_bar *bar, bool quiet, size_t total, size_t skipped)
{
    const char *term = getenv("TERM");

    *bar = (struct bench_bar){
        .quiet = quiet, .total = total, .done = skipped, .skipped = skipped, .began_ns = clock_now_ns(), .label = ""
    };
    bar->terminal = !quiet && isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

/* By what a run took so far; empty before the first is done. */
static const char *left(const struct bench_bar *bar, char *to, size_t room)
{
    size_t ours = bar->done - bar->skipped;
    double seconds = (double)(clock_now_ns() - bar->began_ns) / NS_PER_SEC;

    to[0] = '\0';
    if (ours == 0)
        return to;
    seconds *= (double)(bar->total - bar->done) / (double)ours;
    if (seconds < 60)
        snprintf(to, room, "%.0f s left", seconds);
    else if (seconds < 3600)
        snprintf(to, room, "%.0f min %02d s left", (double)((int)seconds / 60), (int)seconds % 60);
    else
        snprintf(to, room, "%.1f h left", seconds / 3600);
    return to;
}

static size_t columns_of_terminal(void)
{
    struct winsize size = { 0 };

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void draw(struct bench_bar *bar, const char *phase)
{
    size_t full = bar->total ? bar->done * BAR_COLUMNS / bar->total : 0, columns = columns_of_terminal();
    char line[LINE_BYTES], blocks[BAR_COLUMNS + 1], time[48];

    if (!bar->terminal)
        return;
    for (size_t i = 0; i < BAR_COLUMNS; i++)
        blocks[i] = i < full ? '#' : '.';
    blocks[BAR_COLUMNS] = '\0';
    snprintf(line, sizeof(line), "[%s] %3zu%%  run %zu of %zu  %s  %s  %s", blocks,
             bar->total ? bar->done * 100 / bar->total : 0, bar->done < bar->total ? bar->done + 1 : bar->total,
             bar->total, left(bar, time, sizeof(time)), bar->label, phase);
    if (strlen(line) >= columns)
        line[columns - 1] = '\0';
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    bar->shown_ns = clock_now_ns();
}

void bench_bar_run(struct bench_bar *bar, const char *label)
{
    bar->label = label;
    draw(bar, "");
}

void bench_bar_show(struct bench_bar *bar, const json_t *figures)
{
    const char *status = json_string_value(json_object_get(figures, "status"));
    const json_t *ram = json_object_get(figures, "ram");
    char phase[64];

    if (!bar->terminal || clock_now_ns() - bar->shown_ns < REDRAW_NS)
        return;
    snprintf(phase, sizeof(phase), "%s, round %lld", status ? status : "",
             (long long)json_integer_value(json_object_get(ram, "dirty-sync-count")));
    draw(bar, phase);
}

void bench_bar_done(struct bench_bar *bar, const char *result)
{
    char time[48];

    bar->done++;
    if (bar->terminal)
        draw(bar, "");
    else if (!bar->quiet)
        fprintf(stderr, "run %zu of %zu: %s: %s%s%s\n", bar->done, bar->total, bar->label, result,
                bar->done < bar->total ? "; " : "", bar->done < bar->total ? left(bar, time, sizeof(time)) : "");
}

void bench_bar_clear(struct bench_bar *bar)
{
    if (bar->terminal)
        fputs("\r\033[K", stderr);
}
