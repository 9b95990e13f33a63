/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.c - a recorded dirty trace, read whole
 *
 * A recording that was killed ends in half a line, which does not count.
 */
#include "trace.h"

#include "clock.h"
#include "dirty_trace.h"

#include <errno.h>
#include <ferry/memory.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Room for one more: doubles, up to @most. */
static bool grow(void **list, size_t count, size_t *room, size_t most, size_t bytes)
{
    size_t wanted = *room ? 2 * *room : 64;
    void *more;

    if (count < *room)
        return true;
    if (count >= most)
        return false;
    wanted = wanted < most ? wanted : most;
    more = reallocarray(*list, wanted, bytes);
    if (!more)
        return false;
    *list = more;
    *room = wanted;
    return true;
}

static int take_head(struct trace *trace, const json_t *head, struct ferry_error *err)
{
    json_int_t pages = json_integer_value(json_object_get(head, "pages"));

    if (json_integer_value(json_object_get(head, DIRTY_TRACE_NAME)) != DIRTY_TRACE_VERSION)
        return ferry_error_set(err, -EINVAL, "it does not begin as a dirty trace of this version does");
    if (json_integer_value(json_object_get(head, "page-bytes")) != FERRY_PAGE_BYTES)
        return ferry_error_set(err, -EINVAL, "its pages are not of %d bytes", FERRY_PAGE_BYTES);
    if (pages < 1 || pages > (json_int_t)DIRTY_TRACE_PAGES_MAX)
        return ferry_error_set(err, -EINVAL, "it is about no pages, or more than %" PRIu32, DIRTY_TRACE_PAGES_MAX);
    trace->pages = (uint64_t)pages;
    return 0;
}

/* One more run of the last interval. */
static int take_run(struct trace *trace, const json_t *first, const json_t *count, struct ferry_error *err)
{
    struct trace_interval *interval = &trace->interval[trace->intervals - 1];
    json_int_t from = json_integer_value(first), pages = json_integer_value(count);
    const struct trace_run *last = interval->runs > 0 ? &trace->run[trace->runs - 1] : NULL;

    if (!json_is_integer(first) || !json_is_integer(count) || from < 0 || pages < 1 || (uint64_t)from >= trace->pages ||
        (uint64_t)pages > trace->pages - (uint64_t)from)
        return ferry_error_set(err, -EINVAL, "a run lies outside of its %" PRIu64 " pages", trace->pages);
    if (last && (uint64_t)from < (uint64_t)last->first + last->count)
        return ferry_error_set(err, -EINVAL, "runs do not ascend at page %lld", (long long)from);
    if (!grow((void **)&trace->run, trace->runs, &trace->room_runs, TRACE_RUNS_MAX, sizeof(*trace->run)))
        return ferry_error_set(err, -E2BIG, "more than %u runs, or no memory for them", TRACE_RUNS_MAX);
    trace->run[trace->runs++] = (struct trace_run){ (uint32_t)from, (uint32_t)pages };
    interval->runs++;
    interval->pages += (uint64_t)pages;
    trace->written += (uint64_t)pages;
    if ((uint64_t)(from + pages) > trace->span)
        trace->span = (uint64_t)(from + pages);
    return 0;
}

/* A new interval, unless the line goes on with the last one. */
static int take_until(struct trace *trace, const json_t *line, struct ferry_error *err)
{
    const json_t *given = json_object_get(line, "until-us");
    json_int_t us = json_integer_value(given);
    int64_t last_ns = trace->intervals > 0 ? trace->interval[trace->intervals - 1].until_ns : 0;

    if (!json_is_integer(given) || us < 1 || us > TRACE_NS_MAX / NS_PER_US || us * NS_PER_US < last_ns)
        return ferry_error_set(err, -EINVAL, "time goes backwards, or further than a week");
    if (trace->intervals > 0 && us * NS_PER_US == last_ns)
        return 0;
    if (!grow((void **)&trace->interval, trace->intervals, &trace->room_intervals, TRACE_INTERVALS_MAX,
              sizeof(*trace->interval)))
        return ferry_error_set(err, -E2BIG, "more than %u intervals, or no memory for them", TRACE_INTERVALS_MAX);
    trace->interval[trace->intervals++] = (struct trace_interval){ .until_ns = us * NS_PER_US, .run = trace->runs };
    return 0;
}

static int take_line(struct trace *trace, const json_t *line, struct ferry_error *err)
{
    const json_t *pages = json_object_get(line, "pages");
    int ret;

    if (trace->pages == 0)
        return take_head(trace, line, err);
    ret = take_until(trace, line, err);
    if (ret == 0 && (!json_is_array(pages) || json_array_size(pages) % 2 != 0))
        ret = ferry_error_set(err, -EINVAL, "an interval's pages are no list of pairs");
    for (size_t i = 0; ret == 0 && i < json_array_size(pages); i += 2)
        ret = take_run(trace, json_array_get(pages, i), json_array_get(pages, i + 1), err);
    return ret;
}

static int take_text(struct trace *trace, const char *text, size_t bytes, struct ferry_error *err)
{
    json_t *line = bytes <= TRACE_LINE_BYTES_MAX ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int ret = json_is_object(line)
                  ? take_line(trace, line, err)
                  : ferry_error_set(err, -EINVAL, "no object of JSON in at most %u bytes", TRACE_LINE_BYTES_MAX);

    json_decref(line);
    return ret;
}

static int read_lines(struct trace *trace, FILE *file, struct ferry_error *err)
{
    char *text = NULL;
    size_t room = 0;
    unsigned number = 0;
    ssize_t got;
    int ret = 0;

    while (ret == 0 && (got = getline(&text, &room, file)) > 0 && text[got - 1] == '\n') {
        ret = take_text(trace, text, (size_t)got, err);
        number++;
    }
    free(text);
    if (ret < 0)
        return ferry_error_prefix(err, "line %u", number), ret;
    return trace->intervals > 0 ? 0 : ferry_error_set(err, -EINVAL, "a dirty trace without an interval");
}

/* A file of which nobody can make more while it is read. */
static FILE *open_file(const char *path, struct ferry_error *err)
{
    FILE *file = fopen(path, "re");
    struct stat about;

    if (!file || fstat(fileno(file), &about) < 0)
        ferry_error_set(err, -errno, "%s", strerror(errno));
    else if (!S_ISREG(about.st_mode) || (uint64_t)about.st_size > TRACE_FILE_BYTES_MAX)
        ferry_error_set(err, -EINVAL, "no ordinary file of at most %" PRIu64 " bytes", TRACE_FILE_BYTES_MAX);
    else
        return file;
    if (file)
        fclose(file);
    return NULL;
}

struct trace *trace_read(const char *path, struct ferry_error *err)
{
    struct ferry_error why = { 0 };
    struct trace *trace = calloc(1, sizeof(*trace));
    FILE *file = trace ? open_file(path, &why) : NULL;

    if (!trace)
        ferry_error_set(&why, -ENOMEM, "no memory for a dirty trace");
    if (file) {
        (void)!read_lines(trace, file, &why);
        fclose(file);
    }
    if (!why.errnum)
        return trace;
    ferry_error_prefix(&why, "%s", path);
    if (err)
        *err = why;
    trace_free(trace);
    return NULL;
}

void trace_free(struct trace *trace)
{
    if (!trace)
        return;
    free(trace->interval);
    free(trace->run);
    free(trace);
}

uint64_t trace_bytes_per_sec(const struct trace *trace)
{
    double seconds = (double)trace->interval[trace->intervals - 1].until_ns / NS_PER_SEC;

    return (uint64_t)((double)trace->written * FERRY_PAGE_BYTES / seconds);
}
