/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_parameters.c - the table of QEMU's migration parameters, its units and ours */
#include "clock.h"
#include "qmp_settings.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VALUE_BYTES 1024

enum kind {
    KIND_RATE,     /* bytes per second; 0 is no limit */
    KIND_MS,       /* milliseconds */
    KIND_CHANNELS, /* a number; how many there are is for capability multifd to say */
    KIND_ZLIB,     /* a level of one codec, which the option takes while that codec is chosen */
    KIND_ZSTD,
    KIND_WORD, /* a word of the option's */
    KIND_TEXT,
    KIND_FIXED, /* always the same here */
};

struct row {
    const char *name;
    enum kind kind;
    const char *option; /* KIND_FIXED: the value, as JSON */
    uint64_t min, max;
    const char *range; /* what QEMU says of values out of these bounds */
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct row rows[] = {
    { "max-bandwidth", KIND_RATE, "max-bandwidth", 0, INT64_MAX,
      "an integer in the range of 0 to 2^63 - 1 bytes/second" },
    { "max-postcopy-bandwidth", KIND_RATE, "max-postcopy-bandwidth", 0, INT64_MAX,
      "an integer in the range of 0 to 2^63 - 1 bytes/second" },
    { "downtime-limit", KIND_MS, "downtime-limit", 0, 2000000, "an integer in the range of 0 to (2000 * 1000) ms" },
    { "multifd-channels", KIND_CHANNELS, "channels", 1, 255, "a value between 1 and 255" },
    { "multifd-compression", KIND_WORD, "compress" },
    { "multifd-zlib-level", KIND_ZLIB, "compress-level", 0, 9, "a value between 0 and 9" },
    { "multifd-zstd-level", KIND_ZSTD, "compress-level", 0, 20, "a value between 0 and 20" },
    { "tls-creds", KIND_TEXT, "tls-creds" },
    { "tls-hostname", KIND_TEXT, "tls-hostname" },
    { "tls-authz", KIND_TEXT, "tls-authz" },
    { "announce-initial", KIND_FIXED, "50" },
    { "announce-max", KIND_FIXED, "550" },
    { "announce-rounds", KIND_FIXED, "5" },
    { "announce-step", KIND_FIXED, "100" },
    { "avail-switchover-bandwidth", KIND_FIXED, "0" },
    { "cpu-throttle-increment", KIND_FIXED, "10" },
    { "cpu-throttle-initial", KIND_FIXED, "20" },
    { "cpu-throttle-tailslow", KIND_FIXED, "false" },
    { "direct-io", KIND_FIXED, "false" },
    { "max-cpu-throttle", KIND_FIXED, "99" },
    { "mode", KIND_FIXED, "\"normal\"" },
    { "multifd-qatzip-level", KIND_FIXED, "1" },
    { "throttle-trigger-threshold", KIND_FIXED, "50" },
    { "vcpu-dirty-limit", KIND_FIXED, "1" },
    { "x-checkpoint-delay", KIND_FIXED, "20000" },
    { "x-vcpu-dirty-limit-period", KIND_FIXED, "1000" },
    { "xbzrle-cache-size", KIND_FIXED, "67108864" },
    { "zero-page-detection", KIND_FIXED, "\"multifd\"" },
};

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static json_t *level_json(const struct qmp_settings *settings, const char *codec, const char *level, int set)
{
    char chosen[32] = "";
    uint64_t value;

    if (set >= 0)
        return json_integer(set);
    if (ferry_options_get(settings->options, "compress", chosen, sizeof(chosen), NULL) == 0 && !strcmp(chosen, codec) &&
        units_parse_uint(level, 0, 255, &value, NULL) == 0)
        return json_integer((json_int_t)value);
    return json_integer(QMP_LEVEL_DEFAULT);
}

static json_t *channels_json(const struct qmp_settings *settings, const char *text)
{
    uint64_t value;

    if (units_parse_uint(text, 1, 255, &value, NULL) < 0)
        value = settings->channels ? settings->channels : QMP_CHANNELS_DEFAULT;
    return json_integer((json_int_t)value);
}

/* What the option's text is in QEMU's unit. */
static json_t *value_json(const struct qmp_settings *settings, const struct row *row)
{
    char text[VALUE_BYTES];
    uint64_t value = 0;

    if (row->kind == KIND_FIXED)
        return json_loads(row->option, JSON_DECODE_ANY, NULL);
    if (ferry_options_get(settings->options, row->option, text, sizeof(text), NULL) < 0)
        return NULL;
    switch (row->kind) {
    case KIND_RATE:
        if (units_parse_rate(text, &value, NULL) < 0 || value == UNITS_UNLIMITED)
            value = 0;
        return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
    case KIND_MS:
        units_parse_time(text, &value, NULL);
        return json_integer((json_int_t)(value / NS_PER_MS));
    case KIND_CHANNELS:
        return channels_json(settings, text);
    case KIND_ZLIB:
        return level_json(settings, "zlib", text, settings->zlib_level);
    case KIND_ZSTD:
        return level_json(settings, "zstd", text, settings->zstd_level);
    default:
        return json_string(text);
    }
}

json_t *qmp_parameters_json(const struct qmp_settings *settings)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < COUNT(rows); i++) {
        if (json_object_set_new(object, rows[i].name, value_json(settings, &rows[i])) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static bool is_text(const struct row *row)
{
    return row->kind == KIND_WORD || row->kind == KIND_TEXT;
}

static int check(const struct row *row, const json_t *value, struct ferry_error *err)
{
    json_t *always;
    bool same;

    if (row->kind == KIND_FIXED) {
        always = json_loads(row->option, JSON_DECODE_ANY, NULL);
        same = always && json_equal(always, value);
        json_decref(always);
        return same ? 0
                    : ferry_error_set(err, -ENOTSUP, "Parameter '%s' is always %s in this release of Ferry", row->name,
                                      row->option);
    }
    if (is_text(row))
        return json_is_string(value)
                   ? 0
                   : ferry_error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: string", row->name);
    if (!json_is_integer(value))
        return ferry_error_set(err, -EINVAL, "Parameter '%s' expects uint64", row->name);
    if (json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) < row->min ||
        (uint64_t)json_integer_value(value) > row->max)
        return ferry_error_set(err, -ERANGE, "Parameter '%s' expects %s", row->name, row->range);
    return 0;
}

static int set_option(struct qmp_settings *settings, const char *name, const char *value, struct ferry_error *err)
{
    return settings->ops->set(settings->opaque, name, value, err);
}

/* Levels are remembered, as QEMU does, and go into the option when their codec is the one. */
static int settle_level(struct qmp_settings *settings, struct ferry_error *err)
{
    char chosen[32], text[32], was[32];
    int level = -1;

    if (ferry_options_get(settings->options, "compress", chosen, sizeof(chosen), err) < 0)
        return -EINVAL;
    if (!strcmp(chosen, "zlib"))
        level = settings->zlib_level;
    else if (!strcmp(chosen, "zstd"))
        level = settings->zstd_level;
    if (level < 0)
        return 0;
    snprintf(text, sizeof(text), "%d", level);
    if (ferry_options_get(settings->options, "compress-level", was, sizeof(was), err) < 0)
        return -EINVAL;
    return strcmp(was, text) ? set_option(settings, "compress-level", text, err) : 0;
}

static int set_channels(struct qmp_settings *settings, uint64_t number, const char *text, struct ferry_error *err)
{
    char now[32];
    int ret = ferry_options_get(settings->options, "channels", now, sizeof(now), err);

    if (ret == 0 && strcmp(now, "0"))
        ret = set_option(settings, "channels", text, err);
    if (ret == 0)
        settings->channels = number;
    return ret;
}

static int set_one(struct qmp_settings *settings, const struct row *row, const json_t *value, struct ferry_error *err)
{
    uint64_t number = (uint64_t)json_integer_value(value);
    char text[64];

    snprintf(text, sizeof(text), "%" PRIu64 "%s", number, row->kind == KIND_MS ? "ms" : "");
    switch (row->kind) {
    case KIND_FIXED:
        return 0;
    case KIND_WORD:
    case KIND_TEXT:
        return set_option(settings, row->option, json_string_value(value), err);
    case KIND_RATE:
        return set_option(settings, row->option, number ? text : "unlimited", err);
    case KIND_CHANNELS:
        return set_channels(settings, number, text, err);
    case KIND_ZLIB:
        settings->zlib_level = (int)number;
        return 0;
    case KIND_ZSTD:
        settings->zstd_level = (int)number;
        return 0;
    default:
        return set_option(settings, row->option, text, err);
    }
}

/* What a migration that runs would refuse, and what no option would take, before anything is set. */
static int try_one(const struct qmp_settings *settings, struct ferry_options *copy, const struct row *row,
                   const json_t *value, struct ferry_error *err)
{
    int ret;

    if (!is_text(row))
        return 0;
    ret = ferry_options_set(copy, row->option, json_string_value(value), err);
    if (ret < 0 && row->kind == KIND_WORD)
        ferry_error_set(err, ret, "Parameter '%s' does not accept value '%s'", row->name, json_string_value(value));
    return ret;
}

static int check_all(const struct qmp_settings *settings, json_t *arguments, struct ferry_error *err)
{
    struct ferry_options *copy = ferry_options_new();
    const char *name;
    json_t *value;
    int ret = copy ? 0 : ferry_error_set(err, -ENOMEM, "no memory for the parameters");

    json_object_foreach (arguments, name, value) {
        const struct row *row = find(name);

        if (ret < 0)
            break;
        if (!row)
            ret = ferry_error_set(err, -ENOENT, "Parameter '%s' is unexpected", name);
        if (ret == 0)
            ret = check(row, value, err);
        if (ret == 0)
            ret = try_one(settings, copy, row, value, err);
    }
    ferry_options_free(copy);
    return ret;
}

int qmp_parameters_set(struct qmp_settings *settings, json_t *arguments, struct ferry_error *err)
{
    const char *name;
    json_t *value;
    int ret = check_all(settings, arguments, err);

    json_object_foreach (arguments, name, value) {
        if (ret < 0)
            return ret;
        ret = set_one(settings, find(name), value, err);
    }
    return ret < 0 ? ret : settle_level(settings, err);
}
