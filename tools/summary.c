/* SPDX-License-Identifier: BSD-3-Clause */
/* summary.c - a report in words */
#include "summary.h"

#include "report_channels.h"
#include "report_convergence.h"
#include "report_postcopy.h"
#include "units.h"

#include <ferry/codes.h>
#include <ferry/memory.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define LABEL_COLUMNS  13
#define TEXT_BYTES     32
#define NAMES_PER_LINE 5

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static bool has(const json_t *object, const char *name)
{
    return json_object_get(object, name) != NULL;
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

static void label(FILE *to, const char *name)
{
    fprintf(to, "  %-*s", LABEL_COLUMNS, name);
}

static const char *time_of(char *to, double ns)
{
    return units_format_time(to, TEXT_BYTES, ns > 0 ? (uint64_t)ns : 0);
}

static const char *size_of(char *to, double bytes)
{
    return units_format_size(to, TEXT_BYTES, bytes > 0 ? (uint64_t)bytes : 0);
}

/* The guest as the source knew it, or as it arrived. */
static void print_guest(FILE *to, const json_t *source, const json_t *destination)
{
    const json_t *guest = json_object_get(source ? source : destination, "guest");
    char size[TEXT_BYTES], rate[TEXT_BYTES];

    if (!guest)
        return;
    label(to, "guest");
    fprintf(to, "%s of memory, ", size_of(size, number(guest, "ram-bytes")));
    if (number(guest, "dirty-bytes-per-second") >= FERRY_PAGE_BYTES)
        fprintf(to, "writing %s\n", units_format_rate(rate, sizeof(rate), number(guest, "dirty-bytes-per-second")));
    else
        fprintf(to, "writing nothing\n");
}

/* "stop 40 us, pages 1.2 ms, ...": where the downtime went, in two lines. */
static void print_parts(FILE *to, const json_t *parts)
{
    static const char *const names[] = { "stop", "pages", "devices", "transfer", "load", "start" };
    const size_t count = sizeof(names) / sizeof(names[0]);
    char value[TEXT_BYTES];

    for (size_t i = 0; i < count; i++) {
        if (i == count / 2)
            label(to, "");
        fprintf(to, "%s%s %s%s", i == 0 || i == count / 2 ? "" : " ", names[i],
                time_of(value, number(parts, names[i]) * 1e6), i + 1 < count ? "," : "");
        if (i + 1 == count / 2 || i + 1 == count)
            fprintf(to, "\n");
    }
    if (json_object_get(parts, "paused")) {
        label(to, "");
        fprintf(to, "paused %s, as was asked for\n", time_of(value, number(parts, "paused") * 1e6));
    }
}

static void print_capabilities(FILE *to, const json_t *names)
{
    size_t count = json_array_size(names);

    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count || (i + 1) % NAMES_PER_LINE == 0;

        if (i % NAMES_PER_LINE == 0)
            label(to, i == 0 ? "with" : "");
        fprintf(to, "%s%s%s", json_string_value(json_array_get(names, i)), i + 1 < count ? "," : "", last ? "\n" : " ");
    }
}

static void print_peer(FILE *to, const json_t *side)
{
    const json_t *peer = json_object_get(side, "peer");
    char value[TEXT_BYTES];

    if (!has(side, "peer"))
        return;
    label(to, "agreed");
    fprintf(to, "the %s dialect", text(peer, "dialect"));
    if (number(peer, "round-trip") > 0)
        fprintf(to, "; round trip %s", time_of(value, number(peer, "round-trip") * 1e6));
    fprintf(to, "\n");
    print_capabilities(to, json_object_get(peer, "capabilities"));
}

static void print_times(FILE *to, const json_t *source, const json_t *destination)
{
    const json_t *side = source ? source : destination;
    const json_t *ram = json_object_get(side, "ram");
    char value[TEXT_BYTES];

    print_peer(to, side);
    label(to, "total time");
    fprintf(to, "%s", time_of(value, number(side, "total-time-us") * 1e3));
    if (source && number(ram, "dirty-sync-count") > 0)
        fprintf(to, " in %.0f rounds; written pages found by %s", number(ram, "dirty-sync-count"),
                text(source, "tracker"));
    fprintf(to, "\n");
    if (has(source, "downtime-us")) {
        label(to, "downtime");
        fprintf(to, "%s: ", time_of(value, number(source, "downtime-us") * 1e3));
        print_parts(to, json_object_get(source, "downtime-parts"));
    }
    if (has(destination, "guest-blackout")) {
        label(to, "blackout");
        fprintf(to, "%s, as the guest saw it%s\n", time_of(value, number(destination, "guest-blackout") * 1e6),
                has(destination, "guest-blackout-clock") ? ", by two hosts' clocks" : "");
    }
}

static void print_wire(FILE *to, const json_t *side)
{
    const json_t *ram = json_object_get(side, "ram");
    char size[TEXT_BYTES], rate[TEXT_BYTES];

    if (json_array_size(json_object_get(side, "channels")) == 0)
        return;
    label(to, "on the wire");
    fprintf(to, "%s at %s; %.0f pages with content, %.0f zero\n", size_of(size, number(ram, "transferred")),
            units_format_rate(rate, sizeof(rate), number(ram, "mbps") * 1e6 / 8), number(ram, "normal"),
            number(ram, "duplicate"));
    report_channels_print(to, json_object_get(side, "channels"));
}

static void print_cpu(FILE *to, const json_t *source, const json_t *destination)
{
    char value[TEXT_BYTES];

    label(to, "cpu");
    if (source)
        fprintf(to, "%s at the source%s", time_of(value, number(source, "cpu") * 1e9), destination ? ", " : "");
    if (destination)
        fprintf(to, "%s at the destination", time_of(value, number(destination, "cpu") * 1e9));
    fprintf(to, ", the guest's own included\n");
}

static void print_verify(FILE *to, const json_t *destination)
{
    const json_t *verify = json_object_get(destination, "verify");

    if (!verify)
        return;
    label(to, "verified");
    fprintf(to, "%.0f pages: %.0f mismatched, %.0f lost writes\n", number(verify, "pages"),
            number(verify, "mismatched"), number(verify, "lost-writes"));
    if (has(verify, "first")) {
        label(to, "");
        fprintf(to, "first: %s\n", text(verify, "first"));
    }
}

void summary_print(FILE *to, const json_t *source, const json_t *destination)
{
    if (!source && !destination)
        return;
    print_guest(to, source, destination);
    print_times(to, source, destination);
    report_postcopy_print(to, source, destination);
    print_wire(to, source ? source : destination);
    report_convergence_print(to, source);
    print_cpu(to, source, destination);
    print_verify(to, destination);
}

void summary_error(FILE *to, const char *who, const json_t *report)
{
    const json_t *error = json_object_get(report, "error");

    if (!error)
        return;
    fprintf(to, "%s: %s\n", who, text(error, "text"));
    if (has(error, "hint"))
        fprintf(to, "hint: %s\n", text(error, "hint"));
    if (ferry_code_find(text(error, "code")))
        fprintf(to, "more: ferry explain %s\n", text(error, "code"));
}
