/* SPDX-License-Identifier: BSD-3-Clause */
/* units.c - sizes, rates, times and shares as people write them */
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

#define PREFIXED(suffix, one)                                                                         \
    { suffix, one }, { "k" suffix, (one)*1e3 }, { "K" suffix, (one)*1e3 }, { "M" suffix, (one)*1e6 }, \
        { "G" suffix, (one)*1e9 }, { "T" suffix, (one)*1e12 }, { "Ki" suffix, (one)*1024.0 },         \
        { "Mi" suffix, (one)*1048576.0 }, { "Gi" suffix, (one)*1073741824.0 },                        \
    {                                                                                                 \
        "Ti" suffix, (one)*1099511627776.0                                                            \
    }

static const struct unit size_units[] = { PREFIXED("B", 1.0), { NULL, 0 } };
static const struct unit rate_units[] = { PREFIXED("B/s", 1.0), PREFIXED("bit/s", 0.125), { NULL, 0 } };
static const struct unit time_units[] = { { "ns", 1 },  { "us", 1e3 },   { "ms", 1e6 },
                                          { "s", 1e9 }, { "min", 60e9 }, { NULL, 0 } };

/* NUMBER[UNIT]: a plain integer counts in `plain` units. */
static int parse(const char *text, const struct unit *units, double plain, const char *what, const char *example,
                 uint64_t *out, struct ferry_error *err)
{
    char *end;
    double number, factor = 0;

    if (!(text[0] >= '0' && text[0] <= '9'))
        return ferry_error_set(err, -EINVAL, "'%s' is not a %s: write for example %s", text, what, example);
    errno = 0;
    number = strtod(text, &end);
    if (*end == '\0') {
        if (strspn(text, "0123456789") != strlen(text))
            return ferry_error_set(err, -EINVAL, "'%s' needs a unit: write for example %s", text, example);
        factor = plain;
    }
    for (const struct unit *u = units; u->name && factor == 0; u++)
        if (!strcmp(end, u->name))
            factor = u->factor;
    if (factor == 0)
        return ferry_error_set(err, -EINVAL, "'%s': '%s' is not a unit of a %s: write for example %s", text, end, what,
                               example);
    number *= factor;
    if (!isfinite(number) || number >= 0x1p63)
        return ferry_error_set(err, -ERANGE, "'%s' is too large for a %s", text, what);
    *out = (uint64_t)(number + 0.5);
    return 0;
}

int units_parse_size(const char *text, uint64_t *bytes, struct ferry_error *err)
{
    return parse(text, size_units, 1, "size", "512MiB", bytes, err);
}

int units_parse_rate(const char *text, uint64_t *bytes_per_sec, struct ferry_error *err)
{
    uint64_t value;
    int ret;

    if (!strcmp(text, "unlimited")) {
        *bytes_per_sec = UNITS_UNLIMITED;
        return 0;
    }
    ret = parse(text, rate_units, 1, "rate", "5Gbit/s, 600MiB/s or unlimited", &value, err);
    if (ret < 0)
        return ret;
    if (value == 0)
        return ferry_error_set(err, -EINVAL, "a rate of '%s' would never move anything; for no limit write unlimited",
                               text);
    *bytes_per_sec = value;
    return 0;
}

int units_parse_time(const char *text, uint64_t *ns, struct ferry_error *err)
{
    return parse(text, time_units, 1e6, "time", "300ms", ns, err);
}

int units_parse_percent(const char *text, unsigned *percent, struct ferry_error *err)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || strcmp(end, "%") || value > 100 || text[0] == '-' || text[0] == '+')
        return ferry_error_set(err, -EINVAL, "'%s' is not a share: write for example 25%%", text);
    *percent = (unsigned)value;
    return 0;
}

int units_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct ferry_error *err)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (strspn(text, "0123456789") != strlen(text) || end == text || errno || number < min || number > max)
        return ferry_error_set(err, -EINVAL, "'%s' is not a whole number from %" PRIu64 " to %" PRIu64, text, min, max);
    *value = number;
    return 0;
}

static char *format(char *to, size_t room, double value, const char *const names[], int count, double step)
{
    int i = 0;

    while (i + 1 < count && value >= step) {
        value /= step;
        i++;
    }
    snprintf(to, room, value >= 100 || (i == 0 && value == floor(value)) ? "%.0f %s" : "%.2f %s", value, names[i]);
    return to;
}

char *units_format_size(char *to, size_t room, uint64_t bytes)
{
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };

    return format(to, room, (double)bytes, names, 5, 1024);
}

char *units_format_rate(char *to, size_t room, double bytes_per_sec)
{
    static const char *const names[] = { "B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s" };

    return format(to, room, bytes_per_sec, names, 5, 1024);
}

char *units_format_time(char *to, size_t room, uint64_t ns)
{
    static const char *const names[] = { "ns", "us", "ms", "s" };

    return format(to, room, (double)ns, names, 4, 1000);
}
