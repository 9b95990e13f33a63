/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.c - the line on the terminal that says how far a migration is */
#include "progress.h"

#include "clock.h"
#include "units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_COLUMNS  24
#define LINE_BYTES   256
#define MEASURE_NS   (50 * NS_PER_MS) /* shorter spans say nothing of a rate */
#define SMOOTH_NS    (500 * NS_PER_MS)
#define LONGEST_LEFT (100 * 3600.0) /* seconds; beyond, an estimate is no news */

#define FIRST_ROUND_PERCENT 90
#define LAST_PERCENT        99 /* 100 is the end */

enum part {
    PART_RATE = 1,
    PART_LEFT = 2,
    PART_DIRTY = 4,
    PART_ROUND = 8,
    PART_BAR = 16,
};

struct progress {
    struct progress_meter meter;
    bool shown;
};

void progress_figures_from(const struct ferry_stats *stats, bool receiving, struct progress_figures *figures)
{
    *figures = (struct progress_figures){
        .phase = stats->phase,
        .total_ns = stats->time.total_ns,
        .total_bytes = stats->ram.total_bytes,
        .done_bytes = (stats->ram.normal_pages + stats->ram.zero_pages) * FERRY_PAGE_BYTES,
        .remaining_bytes = stats->ram.remaining_bytes,
        .wire_bytes = stats->wire.bytes,
        .dirty_bytes_per_sec = stats->ram.dirty_bytes_per_sec,
        .rounds = stats->ram.rounds,
        .receiving = receiving,
    };
}

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : part >= whole ? 1 : (double)part / (double)whole;
}

/* The first round sends everything once and is most of the work.  How many follow nobody knows, but they shrink what is
 * left. */
static unsigned percent_of(const struct progress_figures *figures)
{
    if (figures->phase == FERRY_PHASE_COMPLETED)
        return 100;
    if (figures->receiving)
        return (unsigned)(LAST_PERCENT * share(figures->done_bytes, figures->total_bytes));
    if (figures->phase == FERRY_PHASE_DEVICE || figures->phase == FERRY_PHASE_PRE_SWITCHOVER)
        return LAST_PERCENT;
    if (figures->rounds == 0)
        return (unsigned)(FIRST_ROUND_PERCENT * share(figures->done_bytes, figures->total_bytes));
    return FIRST_ROUND_PERCENT + (unsigned)((LAST_PERCENT - FIRST_ROUND_PERCENT) *
                                            (1 - share(figures->remaining_bytes, figures->total_bytes)));
}

static double smoothed(double before, uint64_t now, uint64_t last, double span_ns)
{
    double fresh = now > last ? (double)(now - last) * NS_PER_SEC / span_ns : 0;
    double weight = span_ns / (span_ns + SMOOTH_NS);

    return before > 0 ? before + (fresh - before) * weight : fresh;
}

static void measure(struct progress_meter *meter, const struct progress_figures *figures)
{
    unsigned percent = percent_of(figures);
    int64_t span_ns = figures->total_ns - meter->at_ns;

    if (percent > meter->percent)
        meter->percent = percent;
    if (span_ns < MEASURE_NS)
        return;
    meter->done_per_sec = smoothed(meter->done_per_sec, figures->done_bytes, meter->done_bytes, (double)span_ns);
    meter->wire_per_sec = smoothed(meter->wire_per_sec, figures->wire_bytes, meter->wire_bytes, (double)span_ns);
    meter->at_ns = figures->total_ns;
    meter->done_bytes = figures->done_bytes;
    meter->wire_bytes = figures->wire_bytes;
}

/* The guest makes new work while we clear the old. */
static void print_left(FILE *to, const struct progress_meter *meter, const struct progress_figures *figures)
{
    double gain = meter->done_per_sec - (double)figures->dirty_bytes_per_sec;
    double left;

    if (figures->phase != FERRY_PHASE_ACTIVE || figures->remaining_bytes == 0 || meter->done_per_sec <= 0)
        return;
    left = gain > 0 ? (double)figures->remaining_bytes / gain : LONGEST_LEFT;
    if (left >= LONGEST_LEFT)
        fprintf(to, "  no end in sight");
    else if (left < 10)
        fprintf(to, "  %.1f s left", left);
    else if (left < 600)
        fprintf(to, "  %.0f s left", left);
    else
        fprintf(to, "  %.0f min left", left / 60);
}

static void print_bar(FILE *to, unsigned percent)
{
    unsigned full = percent * BAR_COLUMNS / 100;

    fputs(" [", to);
    for (unsigned i = 0; i < BAR_COLUMNS; i++)
        fputc(i < full ? '#' : '.', to);
    fputc(']', to);
}

static void print_parts(FILE *to, unsigned parts, const struct progress_meter *meter,
                        const struct progress_figures *figures)
{
    char text[32];

    fputs(ferry_phase_name(figures->phase), to);
    if (parts & PART_BAR)
        print_bar(to, meter->percent);
    fprintf(to, " %3u%%", meter->percent);
    if ((parts & PART_RATE) && meter->wire_per_sec > 0)
        fprintf(to, "  %s", units_format_rate(text, sizeof(text), meter->wire_per_sec));
    if ((parts & PART_DIRTY) && figures->dirty_bytes_per_sec > 0)
        fprintf(to, "  dirty %s", units_format_rate(text, sizeof(text), (double)figures->dirty_bytes_per_sec));
    if ((parts & PART_ROUND) && figures->rounds > 0)
        fprintf(to, "  round %" PRIu64, figures->rounds);
    if (parts & PART_LEFT)
        print_left(to, meter, figures);
}

char *progress_line(struct progress_meter *meter, const struct progress_figures *figures, char *to, size_t room,
                    unsigned columns)
{
    char line[LINE_BYTES];
    size_t limit = columns > 0 ? columns - 1 : 0;

    measure(meter, figures);
    if (limit >= room)
        limit = room - 1;
    /* 31, 15, 7, 3, 1, 0: each part is a bit, and the least wanted is the highest. */
    for (unsigned parts = 2 * PART_BAR - 1;; parts >>= 1) {
        FILE *memory = fmemopen(line, sizeof(line), "w");

        line[0] = '\0';
        if (memory) {
            print_parts(memory, parts, meter, figures);
            fclose(memory);
        }
        line[sizeof(line) - 1] = '\0';
        if (parts == 0 || strlen(line) <= limit)
            break;
    }
    snprintf(to, limit + 1, "%s", line);
    return to;
}

struct progress *progress_new(void)
{
    const char *term = getenv("TERM");

    if (!isatty(STDERR_FILENO) || (term && !strcmp(term, "dumb")))
        return NULL;
    return calloc(1, sizeof(struct progress));
}

static unsigned columns_of_terminal(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_show(struct progress *progress, const struct progress_figures *figures)
{
    char line[LINE_BYTES];

    if (!progress)
        return;
    progress_line(&progress->meter, figures, line, sizeof(line), columns_of_terminal());
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    progress->shown = true;
}

void progress_clear(struct progress *progress)
{
    if (!progress || !progress->shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->shown = false;
}

void progress_free(struct progress *progress)
{
    progress_clear(progress);
    free(progress);
}
