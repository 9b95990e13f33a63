/* SPDX-License-Identifier: BSD-3-Clause */
/* report_postcopy.c - the part of the report about a guest that went before its memory */
#include "report_postcopy.h"

#include "clock.h"
#include "units.h"

#include <string.h>

#define TEXT_BYTES 32
#define LABEL      "  %-13s"

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

static json_int_t ms(uint64_t ns)
{
    return (json_int_t)((ns + NS_PER_MS / 2) / NS_PER_MS);
}

static json_t *buckets_json(const struct ferry_latency *latency)
{
    json_t *list = json_array();

    for (int i = 0; i < FERRY_LATENCY_BUCKETS; i++)
        json_array_append_new(list, json_integer((json_int_t)latency->buckets[i]));
    return list;
}

static json_t *latency_json(const struct ferry_latency *latency)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "count", (json_int_t)latency->count, "mean-us",
                     us(latency->mean_ns), "p50-us", us(latency->p50_ns), "p90-us", us(latency->p90_ns), "p99-us",
                     us(latency->p99_ns), "p99.9-us", us(latency->p999_ns), "max-us", us(latency->max_ns),
                     "distribution", buckets_json(latency));
}

static json_t *source_json(const struct ferry_postcopy_stats *stats)
{
    return json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "time", (double)(stats->time_ns / 1000) / 1000, "requests",
                     (json_int_t)stats->requests, "repeated", (json_int_t)stats->repeated, "already-sent",
                     (json_int_t)stats->already_sent, "requested-pages", (json_int_t)stats->requested_pages,
                     "prefetched-pages", (json_int_t)stats->prefetched_pages, "prefetch-hits",
                     (json_int_t)stats->prefetch_hits);
}

/* Of an interruption, where there was one: how often it went on, how long it was broken. */
static void add_interruptions(json_t *object, bool is_source, const struct ferry_postcopy_stats *stats)
{
    json_object_set_new(object, "resumed", json_integer((json_int_t)stats->resumed));
    json_object_set_new(object, "broken-time", json_real((double)(stats->broken_ns / 1000) / 1000));
    if (is_source)
        json_object_set_new(object, "resent-bytes", json_integer((json_int_t)(stats->resent_pages * FERRY_PAGE_BYTES)));
}

static json_t *threads_json(const struct ferry_postcopy_thread *threads, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:i, s:I, s:f, s:f}", "thread", threads[i].tid, "faults",
                                              (json_int_t)threads[i].faults, "blocked-us", us(threads[i].blocked_ns),
                                              "max-us", us(threads[i].max_ns)));
    return list;
}

static json_t *destination_json(const struct ferry_postcopy_stats *stats, const struct ferry_postcopy_thread *threads,
                                unsigned count)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}", "state", stats->state,
                     "discarded-pages", (json_int_t)stats->discarded_pages, "missing-pages",
                     (json_int_t)stats->missing_pages, "received-pages", (json_int_t)stats->received_pages, "requests",
                     (json_int_t)stats->asked, "duplicates", (json_int_t)stats->duplicates, "local",
                     (json_int_t)stats->local, "blocked-us", us(stats->blocked_ns), "all-blocked-us",
                     us(stats->all_blocked_ns), "latency", latency_json(&stats->latency), "threads",
                     threads_json(threads, count));
}

/* QEMU's names and units: milliseconds for block times, nanoseconds for latencies. */
static void add_qemu_names(json_t *object, const struct ferry_postcopy_stats *stats,
                           const struct ferry_postcopy_thread *threads, unsigned count)
{
    json_t *block = json_array(), *latency = json_array();

    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(block, json_integer(ms(threads[i].blocked_ns)));
        json_array_append_new(
            latency, json_integer(threads[i].faults ? (json_int_t)(threads[i].blocked_ns / threads[i].faults) : 0));
    }
    json_object_set_new(object, "postcopy-blocktime", json_integer(ms(stats->all_blocked_ns)));
    json_object_set_new(object, "postcopy-vcpu-blocktime", block);
    json_object_set_new(object, "postcopy-latency", json_integer((json_int_t)stats->latency.mean_ns));
    json_object_set_new(object, "postcopy-latency-dist", buckets_json(&stats->latency));
    json_object_set_new(object, "postcopy-vcpu-latency", latency);
}

/* Advised, it may still end as precopy does. */
static bool has_listened(const struct ferry_postcopy_stats *stats)
{
    return stats->discarded_pages > 0 || !strcmp(stats->state, "listen") || !strcmp(stats->state, "running") ||
           !strcmp(stats->state, "end");
}

json_t *report_postcopy_add(json_t *object, bool is_source, const struct ferry_stats *stats,
                            const struct ferry_postcopy_thread *threads, unsigned count)
{
    const struct ferry_postcopy_stats *postcopy = &stats->postcopy;

    if (!object)
        return NULL;
    if (is_source && postcopy->time_ns > 0) {
        json_object_set_new(object, "postcopy", source_json(postcopy));
        json_object_set_new(json_object_get(object, "ram"), "postcopy-requests",
                            json_integer((json_int_t)postcopy->requests));
        json_object_set_new(json_object_get(object, "ram"), "postcopy-bytes",
                            json_integer((json_int_t)(postcopy->requested_pages * FERRY_PAGE_BYTES)));
    } else if (!is_source && has_listened(postcopy)) {
        json_object_set_new(object, "postcopy", destination_json(postcopy, threads, count));
        add_qemu_names(object, postcopy, threads, count);
    }
    if (json_object_get(object, "postcopy")) {
        add_interruptions(json_object_get(object, "postcopy"), is_source, postcopy);
    }
    return object;
}

void report_postcopy_add_touches(json_t *object, const struct ferry_latency *touches)
{
    json_t *postcopy = json_object_get(object, "postcopy");

    if (json_object_get(postcopy, "latency"))
        json_object_set_new(postcopy, "guest-latency", latency_json(touches));
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static const char *time_of(char *to, const json_t *object, const char *name)
{
    return units_format_time(to, TEXT_BYTES, (uint64_t)(number(object, name) * 1e3));
}

static void print_latency(FILE *to, const char *label, const json_t *latency)
{
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES], d[TEXT_BYTES];

    if (number(latency, "count") > 0)
        fprintf(to, LABEL "%.0f, in the middle %s, 99 of 100 within %s, the longest %s (mean %s)\n", label,
                number(latency, "count"), time_of(a, latency, "p50-us"), time_of(b, latency, "p99-us"),
                time_of(c, latency, "max-us"), time_of(d, latency, "mean-us"));
}

void report_postcopy_print(FILE *to, const json_t *source, const json_t *destination)
{
    const json_t *here = json_object_get(source, "postcopy"), *there = json_object_get(destination, "postcopy");
    char a[TEXT_BYTES], b[TEXT_BYTES];

    if (here) {
        fprintf(to, LABEL "%s after the switch, %.0f requests, ", "postcopy",
                units_format_time(a, sizeof(a), (uint64_t)(number(here, "time") * 1e6)), number(here, "requests"));
        fprintf(to, "%.0f neighbours sent along, %.0f of use\n", number(here, "prefetched-pages"),
                number(here, "prefetch-hits"));
    }
    if (number(here ? here : there, "resumed") > 0)
        fprintf(to, LABEL "interrupted and resumed %.0f times, broken for %s in all; %s sent twice\n",
                here ? "" : "postcopy", number(here ? here : there, "resumed"),
                units_format_time(a, sizeof(a), (uint64_t)(number(here ? here : there, "broken-time") * 1e6)),
                units_format_size(b, sizeof(b), (uint64_t)number(here, "resent-bytes")));
    if (there)
        fprintf(to, LABEL "%.0f pages followed, %.0f came twice; all threads waited for %s\n", here ? "" : "postcopy",
                number(there, "received-pages"), number(there, "duplicates"), time_of(a, there, "all-blocked-us"));
    print_latency(to, "faults", json_object_get(there, "latency"));
    print_latency(to, "long touches", json_object_get(there, "guest-latency"));
}
