/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.c - what all benchmarks share: their options, their figures, and the JSON that comes out */
#include "measure.h"

#include "clock.h"
#include "cpu.h"
#include "units.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* ---- figures --------------------------------------------------------------------------------------------------- */

void series_add(struct series *series, double value)
{
    if (series->count < MEASURE_RUNS_MAX)
        series->value[series->count++] = value;
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

double series_median(const struct series *series)
{
    struct series sorted = *series;
    unsigned middle = sorted.count / 2;

    if (sorted.count == 0)
        return 0;
    qsort(sorted.value, sorted.count, sizeof(sorted.value[0]), compare);
    return sorted.count % 2 ? sorted.value[middle] : (sorted.value[middle - 1] + sorted.value[middle]) / 2;
}

void pairs_add(struct pairs *pairs, double ours, double limit)
{
    series_add(&pairs->ours, ours);
    series_add(&pairs->limit, limit);
}

json_t *pairs_json(const struct pairs *pairs, const char *name)
{
    struct series ratio = { .count = 0 };
    json_t *runs = json_array();

    for (unsigned i = 0; i < pairs->ours.count; i++) {
        double ours = pairs->ours.value[i], limit = pairs->limit.value[i];

        series_add(&ratio, limit > 0 ? ours / limit : 0);
        json_array_append_new(runs, json_pack("{s:f, s:f}", name, ours, "limit", limit));
    }
    return json_pack("{s:f, s:f, s:f, s:o}", name, series_median(&pairs->ours), "limit", series_median(&pairs->limit),
                     "ratio", series_median(&ratio), "runs", runs);
}

double measure_rate(uint64_t bytes, int64_t ns)
{
    return ns > 0 ? (double)bytes * NS_PER_SEC / (double)ns : 0;
}

bool measure_wanted(const char *wanted, const char *name)
{
    size_t bytes = strlen(name);

    for (const char *at = wanted; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, bytes) && (at[bytes] == ',' || !at[bytes]))
            return true;
    return !wanted;
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static json_t *option_json(const struct measure_option *option)
{
    switch (option->kind) {
    case MEASURE_TEXT:
        return json_string(*(const char **)option->to ? *(const char **)option->to : "");
    case MEASURE_SWITCH:
        return json_boolean(*(bool *)option->to);
    default:
        return json_integer((json_int_t) * (uint64_t *)option->to);
    }
}

static void print_option(const struct measure_option *option)
{
    char text[32] = "";

    if (option->kind == MEASURE_SIZE)
        units_format_size(text, sizeof(text), *(uint64_t *)option->to);
    else if (option->kind == MEASURE_COUNT)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)*(uint64_t *)option->to);
    else if (option->kind == MEASURE_SWITCH)
        snprintf(text, sizeof(text), "%s", *(bool *)option->to ? "on" : "off");
    else if (*(const char **)option->to)
        snprintf(text, sizeof(text), "%s", *(const char **)option->to);
    printf("  %-10s %s [%s]\n", option->name, option->help, *text ? text : "-");
}

static void print_help(const struct measure *measure)
{
    printf("bench-%s [NAME=VALUE]...\n\n%s\nPrints one JSON object. Options, with their defaults:\n\n", measure->name,
           measure->about);
    for (const struct measure_option *option = measure->options; option->name; option++)
        print_option(option);
}

static int take_value(const struct measure_option *option, const char *value, struct ferry_error *err)
{
    uint64_t number;
    int ret;

    switch (option->kind) {
    case MEASURE_SIZE:
        ret = units_parse_size(value, &number, err);
        if (ret == 0 && (number < option->least || number > option->most))
            ret = ferry_error_set(err, -EINVAL, "%s=%s: out of range", option->name, value);
        break;
    case MEASURE_COUNT:
        ret = units_parse_uint(value, option->least, option->most, &number, err);
        break;
    case MEASURE_TEXT:
        *(const char **)option->to = value;
        return 0;
    default:
        if (strcmp(value, "on") && strcmp(value, "off"))
            return ferry_error_set(err, -EINVAL, "%s=%s: neither on nor off", option->name, value);
        *(bool *)option->to = !strcmp(value, "on");
        return 0;
    }
    if (ret == 0)
        *(uint64_t *)option->to = number;
    return ret;
}

static int take_argument(const struct measure *measure, const char *text, struct ferry_error *err)
{
    const char *value = strchr(text, '=');
    size_t bytes = value ? (size_t)(value - text) : 0;

    for (const struct measure_option *option = measure->options; value && option->name; option++)
        if (strlen(option->name) == bytes && !strncmp(option->name, text, bytes))
            return take_value(option, value + 1, err);
    return ferry_error_set(err, -EINVAL, "'%s' is no NAME=VALUE of this benchmark; --help lists them", text);
}

/* ---- what comes out -------------------------------------------------------------------------------------------- */

static void processor_name(char *to, size_t room)
{
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256], *colon;

    snprintf(to, room, "?");
    while (info && fgets(line, sizeof(line), info)) {
        colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(to, room, "%s", colon[1] ? colon + 2 : "?");
        break;
    }
    if (info)
        fclose(info);
}

/* The load says who else was at work: figures taken beside others are no figures of the machine. */
static json_t *machine_json(void)
{
    struct utsname kernel = { 0 };
    char processor[256];
    double load = 0;

    (void)!getloadavg(&load, 1);
    (void)!uname(&kernel);
    processor_name(processor, sizeof(processor));
    return json_pack("{s:s, s:i, s:s, s:f}", "processor", processor, "processors", cpu_count(), "kernel",
                     kernel.release, "load", load);
}

static int print(const struct measure *measure, json_t *machine, json_t *results)
{
    json_t *settings = json_object(), *all;
    int ret;

    for (const struct measure_option *option = measure->options; option->name; option++)
        json_object_set_new(settings, option->name, option_json(option));
    all = json_pack("{s:s, s:O, s:o, s:O}", "bench", measure->name, "machine", machine, "settings", settings, "results",
                    results);
    ret = all ? json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : -1;
    json_decref(all);
    putchar('\n');
    return ret == 0 && fflush(stdout) == 0 ? 0 : -EIO;
}

int measure_main(const struct measure *measure, int argc, char **argv)
{
    json_t *machine = machine_json(), *results = json_array();
    struct ferry_error err = { 0 };
    int ret = machine && results ? 0 : -ENOMEM;

    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        print_help(measure);
        goto end;
    }
    for (int i = 1; ret == 0 && i < argc; i++)
        ret = take_argument(measure, argv[i], &err);
    if (ret == 0)
        ret = measure->run(results, &err);
    if (ret == 0)
        ret = print(measure, machine, results);
    if (ret < 0)
        fprintf(stderr, "bench-%s: %s\n", measure->name, err.errnum ? ferry_error_text(&err) : strerror(-ret));
end:
    json_decref(machine);
    json_decref(results);
    return ret < 0;
}
