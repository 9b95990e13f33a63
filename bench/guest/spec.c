/* SPDX-License-Identifier: BSD-3-Clause */
/* spec.c - what a synthetic guest is to be like: "size=1GiB,dirty=200MiB/s,zero=30%" */
#include "spec.h"

#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <ferry/memory.h>

struct spec_choice {
    const char *name; /* NULL ends the choices */
    uint8_t value;
};

static const struct spec_choice patterns[] = {
    { "uniform", SPEC_UNIFORM }, { "sequential", SPEC_SEQUENTIAL }, { "hot", SPEC_HOT },
    { "bursts", SPEC_BURSTS },   { "trace", SPEC_TRACE },           { NULL, 0 },
};

static const struct spec_choice contents[] = {
    { "random", SPEC_RANDOM },
    { "text", SPEC_TEXT },
    { "mixed", SPEC_MIXED },
    { NULL, 0 },
};

static const struct spec_choice dirty_logs[] = {
    { "bitmap", SPEC_LOG_BITMAP },
    { "ring", SPEC_LOG_RING },
    { "uffd", SPEC_LOG_UFFD },
    { NULL, 0 },
};

static const struct spec_choice switches[] = {
    { "on", true },
    { "off", false },
    { NULL, 0 },
};

enum row_kind {
    ROW_SIZE,
    ROW_TIME,
    ROW_PATH,
    ROW_RATE,
    ROW_PERCENT,
    ROW_U32,
    ROW_U64,
    ROW_CHOICE,
};

struct spec_row {
    const char *key;
    enum row_kind kind;
    size_t offset;
    const struct spec_choice *choices;
};

#define ROW(text, kind_, member, ...)                                                              \
    {                                                                                              \
        .key = (text), .kind = (kind_), .offset = offsetof(struct guest_spec, member), __VA_ARGS__ \
    }

static const struct spec_row rows[] = {
    ROW("size", ROW_SIZE, size_bytes),
    ROW("dirty", ROW_RATE, dirty_bytes_per_sec),
    ROW("reads", ROW_RATE, reads_bytes_per_sec),
    ROW("pattern", ROW_CHOICE, pattern, .choices = patterns),
    ROW("hot", ROW_PERCENT, hot_percent),
    ROW("hot-share", ROW_PERCENT, hot_share_percent),
    ROW("burst", ROW_TIME, burst_ns),
    ROW("pause", ROW_TIME, pause_ns),
    ROW("trace", ROW_PATH, trace),
    ROW("zero", ROW_PERCENT, zero_percent),
    ROW("untouched", ROW_SIZE, untouched_bytes),
    ROW("vfio", ROW_SIZE, vfio_bytes),
    ROW("vfio-still", ROW_CHOICE, vfio_still, .choices = switches),
    ROW("content", ROW_CHOICE, content, .choices = contents),
    ROW("threads", ROW_U32, threads),
    ROW("beats", ROW_U32, beats),
    ROW("seed", ROW_U64, seed),
    ROW("huge", ROW_CHOICE, huge, .choices = switches),
    ROW("dirty-log", ROW_CHOICE, dirty_log, .choices = dirty_logs),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

_Static_assert(sizeof(bool) == 1, "a switch is stored as a choice's byte");

static const struct guest_spec defaults = {
    .size_bytes = UINT64_C(256) << 20,
    .seed = 1,
    .hot_percent = 25,
    .hot_share_percent = 100,
    .burst_ns = UINT64_C(100000000),
    .pause_ns = UINT64_C(400000000),
    .threads = 1,
    .pattern = SPEC_UNIFORM,
    .content = SPEC_RANDOM,
    .huge = true,
};

/* "uniform, sequential or hot": @name(i) for all i, as a sentence has them. */
static void append_name(char *list, size_t room, const char *name, bool first, bool last)
{
    size_t used = strlen(list);

    snprintf(list + used, room - used, "%s%s", first ? "" : last ? " or " : ", ", name);
}

static int unknown_key(const char *key, struct ferry_error *err)
{
    char list[256] = "";

    for (size_t i = 0; i < ROWS; i++)
        append_name(list, sizeof(list), rows[i].key, i == 0, i == ROWS - 1);
    return ferry_error_set(err, -EINVAL, "a guest has no '%s': it has %s", key, list);
}

static int parse_choice(const struct spec_row *row, const char *value, uint8_t *out, struct ferry_error *err)
{
    char list[128] = "";

    for (const struct spec_choice *c = row->choices; c->name; c++) {
        if (!strcmp(c->name, value)) {
            *out = c->value;
            return 0;
        }
        append_name(list, sizeof(list), c->name, c == row->choices, !c[1].name);
    }
    return ferry_error_set(err, -EINVAL, "'%s' is not one of %s", value, list);
}

static int parse_value(const struct spec_row *row, const char *value, struct guest_spec *spec, struct ferry_error *err)
{
    void *at = (char *)spec + row->offset;
    uint64_t number;
    unsigned percent;
    int ret = -EINVAL;

    switch (row->kind) {
    case ROW_SIZE:
        return units_parse_size(value, at, err);
    case ROW_TIME:
        return units_parse_time(value, at, err);
    case ROW_PATH:
        if (!*value || snprintf(at, SPEC_TRACE_BYTES, "%s", value) >= SPEC_TRACE_BYTES)
            return ferry_error_set(err, -EINVAL, "a file's name has from 1 to %d bytes", SPEC_TRACE_BYTES - 1);
        return 0;
    case ROW_RATE:
        if (!strcmp(value, "0")) { /* a rate of 0 is refused there, but a guest may well be idle */
            *(uint64_t *)at = 0;
            return 0;
        }
        return units_parse_rate(value, at, err);
    case ROW_PERCENT:
        ret = units_parse_percent(value, &percent, err);
        if (ret == 0)
            *(uint32_t *)at = percent;
        return ret;
    case ROW_U32:
        ret = units_parse_uint(value, 0, UINT32_MAX, &number, err);
        if (ret == 0)
            *(uint32_t *)at = (uint32_t)number;
        return ret;
    case ROW_U64:
        return units_parse_uint(value, 0, UINT64_MAX, at, err);
    case ROW_CHOICE:
        return parse_choice(row, value, at, err);
    }
    return ret;
}

static const struct spec_row *find_row(const char *key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].key, key))
            return &rows[i];
    return NULL;
}

bool spec_has_key(const char *key)
{
    return find_row(key) != NULL;
}

/* One "key=value"; @seen has a bit per row. */
static int parse_pair(char *pair, struct guest_spec *spec, unsigned *seen, struct ferry_error *err)
{
    const struct spec_row *row;
    char *value = strchr(pair, '=');
    int ret;

    if (!value)
        return ferry_error_set(err, -EINVAL, "'%s' says nothing: write key=value, for example size=1GiB", pair);
    *value++ = '\0';
    row = find_row(pair);
    if (!row)
        return unknown_key(pair, err);
    if (*seen & (1u << (row - rows)))
        return ferry_error_set(err, -EINVAL, "'%s' is given twice", pair);
    *seen |= 1u << (row - rows);
    ret = parse_value(row, value, spec, err);
    if (ret < 0)
        ferry_error_prefix(err, "%s", pair);
    return ret;
}

static bool was_seen(unsigned seen, const char *key)
{
    return seen & (1u << (find_row(key) - rows));
}

/* Keys that say something about a pattern only, and imply it. */
static int imply_pattern(unsigned seen, struct guest_spec *spec, struct ferry_error *err)
{
    static const struct {
        const char *key;
        enum spec_pattern pattern;
    } implied[] = { { "hot", SPEC_HOT }, { "burst", SPEC_BURSTS }, { "pause", SPEC_BURSTS }, { "trace", SPEC_TRACE } };

    for (size_t i = 0; i < sizeof(implied) / sizeof(implied[0]); i++) {
        if (!was_seen(seen, implied[i].key))
            continue;
        if (!was_seen(seen, "pattern") && spec->pattern == SPEC_UNIFORM)
            spec->pattern = (uint8_t)implied[i].pattern;
        if (spec->pattern != implied[i].pattern)
            return ferry_error_set(err, -EINVAL, "%s is about pattern=%s; it does not go with another pattern",
                                   implied[i].key, patterns[implied[i].pattern - 1].name);
    }
    return 0;
}

/* A trace says which pages are written, how fast, and by how many. */
static int check_trace(unsigned seen, const struct guest_spec *spec, struct ferry_error *err)
{
    static const char *const others[] = { "dirty", "zero", "threads" };

    if (spec->pattern != SPEC_TRACE)
        return 0;
    if (!spec->trace[0])
        return ferry_error_set(err, -EINVAL, "pattern=trace replays a file: it needs trace=FILE");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (was_seen(seen, others[i]))
            return ferry_error_set(err, -EINVAL, "%s: a trace says which pages are written, and when", others[i]);
    return 0;
}

int spec_parse(const char *text, struct guest_spec *spec, struct ferry_error *err)
{
    struct guest_spec parsed = defaults;
    char copy[512];
    char *rest = copy, *pair;
    unsigned seen = 0;
    int ret;

    if (text && strlen(text) >= sizeof(copy))
        return ferry_error_set(err, -EINVAL, "a guest in more than %zu bytes", sizeof(copy) - 1);
    snprintf(copy, sizeof(copy), "%s", text ? text : "");
    while (copy[0] && (pair = strsep(&rest, ","))) {
        ret = parse_pair(pair, &parsed, &seen, err);
        if (ret < 0)
            return ret;
    }
    if (was_seen(seen, "hot-share") && !was_seen(seen, "hot"))
        return ferry_error_set(err, -EINVAL, "hot-share says how many writes go to the hot part: it needs hot");
    parsed.sized = was_seen(seen, "size");
    ret = imply_pattern(seen, &parsed, err);
    if (ret == 0)
        ret = check_trace(seen, &parsed, err);
    if (ret == 0)
        ret = spec_check(&parsed, err);
    if (ret < 0)
        return ret;
    *spec = parsed;
    return 0;
}

static int check_size(const char *key, uint64_t bytes, uint64_t min, uint64_t max, struct ferry_error *err)
{
    char low[32], high[32];

    if (bytes < min || bytes > max)
        return ferry_error_set(err, -EINVAL, "%s: %" PRIu64 " is not within %s and %s", key, bytes,
                               units_format_size(low, sizeof(low), min), units_format_size(high, sizeof(high), max));
    if (bytes % FERRY_PAGE_BYTES)
        return ferry_error_set(err, -EINVAL, "%s: %" PRIu64 " is not a multiple of %d", key, bytes, FERRY_PAGE_BYTES);
    return 0;
}

static int check_number(const char *key, uint32_t value, uint32_t min, uint32_t max, struct ferry_error *err)
{
    if (value < min || value > max)
        return ferry_error_set(err, -EINVAL, "%s: %" PRIu32 " is not within %" PRIu32 " and %" PRIu32, key, value, min,
                               max);
    return 0;
}

static int check_bursts(const struct guest_spec *spec, struct ferry_error *err)
{
    if (spec->burst_ns >= SPEC_BURST_MIN_NS && spec->burst_ns <= SPEC_BURST_MAX_NS &&
        spec->pause_ns >= SPEC_BURST_MIN_NS && spec->pause_ns <= SPEC_BURST_MAX_NS)
        return 0;
    return ferry_error_set(err, -EINVAL, "burst and pause: from 1 ms to an hour each");
}

int spec_check(const struct guest_spec *spec, struct ferry_error *err)
{
    int ret = check_size("size", spec->size_bytes, FERRY_PAGE_BYTES, SPEC_SIZE_MAX, err);

    if (ret == 0)
        ret = check_size("untouched", spec->untouched_bytes, 0, SPEC_UNTOUCHED_MAX, err);
    if (ret == 0)
        ret = check_size("vfio", spec->vfio_bytes, 0, SPEC_VFIO_MAX, err);
    if (ret == 0)
        ret = check_number("hot", spec->hot_percent, 1, 100, err);
    if (ret == 0)
        ret = check_number("hot-share", spec->hot_share_percent, 1, 100, err);
    if (ret == 0)
        ret = check_number("zero", spec->zero_percent, 0, 100, err);
    if (ret == 0)
        ret = check_number("threads", spec->threads, 1, SPEC_THREADS_MAX, err);
    if (ret == 0)
        ret = check_number("beats", spec->beats, 0, SPEC_BEATS_MAX, err);
    if (ret == 0)
        ret = check_number("pattern", spec->pattern, SPEC_UNIFORM, SPEC_TRACE, err);
    if (ret == 0)
        ret = check_number("content", spec->content, SPEC_RANDOM, SPEC_MIXED, err);
    if (ret == 0 && spec->pattern == SPEC_BURSTS)
        ret = check_bursts(spec, err);
    if (ret == 0 && spec->pattern == SPEC_TRACE)
        ret = check_size("size", spec->size_bytes, FERRY_PAGE_BYTES, SPEC_TRACE_SIZE_MAX, err);
    if (ret < 0)
        return ret;
    if (spec->zero_percent == 100 && spec->dirty_bytes_per_sec > 0)
        return ferry_error_set(err, -EINVAL, "zero=100%% leaves no page that could be written, but dirty is not 0");
    return 0;
}
