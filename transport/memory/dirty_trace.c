/* SPDX-License-Identifier: BSD-3-Clause */
/* dirty_trace.c - a file that says which pages were written when, as it is being recorded
 *
 * Runs that touch become one.  The first failure is kept for the end, and ends the recording.
 */
#include "dirty_trace.h"

#include "clock.h"

#include <errno.h>
#include <ferry/memory.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dirty_trace {
    FILE *file;
    char *path;
    uint64_t *base; /* of each block: the number of its first page */
    unsigned blocks;
    uint64_t first, count; /* the run that may still grow; 0: none */
    int64_t until_us;      /* of the interval; 0: none yet */
    unsigned runs;         /* in the line that is open */
    bool open;             /* a line is */
    struct dirty_trace_figures figures;
    int failure; /* 0 or a negative errno */
};

static void note_failure(struct dirty_trace *trace)
{
    if (trace->failure == 0)
        trace->failure = errno ? -errno : -EIO;
}

/* A name as JSON has it: what would need more than a backslash is left out. */
static void put_name(FILE *to, const char *name)
{
    fputc('"', to);
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            fputc('\\', to);
        if ((unsigned char)*name >= ' ' && (unsigned char)*name < 0x7f)
            fputc(*name, to);
    }
    fputc('"', to);
}

static int put_head(struct dirty_trace *trace, const char *way, const struct dirty_trace_block *blocks,
                    struct ferry_error *err)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < trace->blocks; i++) {
        trace->base[i] = pages;
        if (blocks[i].pages > DIRTY_TRACE_PAGES_MAX - pages)
            return ferry_error_set(err, -E2BIG, "%s: a trace is of %" PRIu32 " pages at most", trace->path,
                                   DIRTY_TRACE_PAGES_MAX);
        pages += blocks[i].pages;
    }
    fprintf(trace->file,
            "{\"" DIRTY_TRACE_NAME "\": %d, \"page-bytes\": %d, \"pages\": %" PRIu64 ", \"way\": ", DIRTY_TRACE_VERSION,
            FERRY_PAGE_BYTES, pages);
    put_name(trace->file, way);
    fputs(", \"blocks\": [", trace->file);
    for (unsigned i = 0; i < trace->blocks; i++) {
        fputs(i > 0 ? ", {\"name\": " : "{\"name\": ", trace->file);
        put_name(trace->file, blocks[i].name);
        fprintf(trace->file, ", \"pages\": %" PRIu64 "}", blocks[i].pages);
    }
    fputs("]}\n", trace->file);
    return 0;
}

struct dirty_trace *dirty_trace_create(const char *path, const char *way, const struct dirty_trace_block *blocks,
                                       unsigned count, struct ferry_error *err)
{
    struct dirty_trace *trace = calloc(1, sizeof(*trace));
    int ret = 0;

    if (trace) {
        trace->blocks = count;
        trace->path = strdup(path);
        trace->base = calloc(count ? count : 1, sizeof(*trace->base));
    }
    if (!trace || !trace->path || !trace->base)
        ret = ferry_error_set(err, -ENOMEM, "no memory for a dirty trace");
    if (ret == 0 && !(trace->file = fopen(path, "we")))
        ret = ferry_error_set(err, -errno, "%s: %s", path, strerror(errno));
    if (ret == 0)
        ret = put_head(trace, way, blocks, err);
    if (ret == 0)
        return trace;
    (void)!dirty_trace_close(trace, NULL, NULL);
    return NULL;
}

static void end_line(struct dirty_trace *trace)
{
    if (trace->open)
        fputs("]}\n", trace->file);
    trace->open = false;
}

static void begin_line(struct dirty_trace *trace)
{
    fprintf(trace->file, "{\"until-us\": %" PRId64 ", \"pages\": [", trace->until_us);
    trace->open = true;
    trace->runs = 0;
}

static void put_run(struct dirty_trace *trace)
{
    if (trace->count == 0)
        return;
    if (trace->runs == DIRTY_TRACE_LINE_RUNS) {
        end_line(trace);
        begin_line(trace);
    }
    fprintf(trace->file, "%s%" PRIu64 ", %" PRIu64, trace->runs > 0 ? ", " : "", trace->first, trace->count);
    trace->figures.pages += trace->count;
    trace->count = 0;
    trace->runs++;
}

void dirty_trace_run(struct dirty_trace *trace, uint64_t first, uint64_t count)
{
    if (trace->failure < 0 || count == 0)
        return;
    if (trace->count > 0 && trace->first + trace->count == first) {
        trace->count += count;
        return;
    }
    put_run(trace);
    trace->first = first;
    trace->count = count;
}

void dirty_trace_map(struct dirty_trace *trace, unsigned index, const struct dirty_map *written)
{
    uint64_t first, count;

    for (uint64_t at = 0; (count = dirty_next_run(written, at, UINT64_MAX, &first)) > 0; at = first + count)
        dirty_trace_run(trace, trace->base[index] + first, count);
}

/* Whole lines only: whoever reads meanwhile, or after a crash, finds no half ones but the last. */
static void end_interval(struct dirty_trace *trace)
{
    put_run(trace);
    end_line(trace);
    errno = 0;
    if (fflush(trace->file) == EOF || ferror(trace->file))
        note_failure(trace);
}

void dirty_trace_until(struct dirty_trace *trace, int64_t since_ns)
{
    int64_t until_us = since_ns / NS_PER_US;

    if (trace->failure < 0)
        return;
    end_interval(trace);
    trace->until_us = until_us > trace->until_us ? until_us : trace->until_us + 1;
    trace->figures.intervals++;
    begin_line(trace);
}

int dirty_trace_close(struct dirty_trace *trace, struct dirty_trace_figures *figures, struct ferry_error *err)
{
    int ret;

    if (!trace)
        return 0;
    if (trace->file && trace->failure == 0)
        end_interval(trace);
    if (trace->file && fclose(trace->file) == EOF)
        note_failure(trace);
    ret = trace->failure;
    if (ret < 0)
        ferry_error_set(err, ret, "%s: the dirty trace could not be written whole: %s", trace->path, strerror(-ret));
    if (figures)
        *figures = trace->figures;
    free(trace->path);
    free(trace->base);
    free(trace);
    return ret;
}
