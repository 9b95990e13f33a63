/* SPDX-License-Identifier: BSD-3-Clause */
/* report.c - what became of a migration, as one JSON object */
#include "report.h"

#include "clock.h"
#include "report_convergence.h"
#include "report_peer.h"
#include "report_postcopy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static double ms(int64_t ns)
{
    return (double)(ns / 1000) / 1000;
}

static json_int_t whole_ms(int64_t ns)
{
    return (ns + NS_PER_MS / 2) / NS_PER_MS;
}

static json_t *ram_json(const struct ferry_stats *stats)
{
    const struct ferry_ram_stats *ram = &stats->ram;
    double seconds = (double)(stats->time.total_ns - stats->time.setup_ns) / NS_PER_SEC;
    double pages = (double)(ram->normal_pages + ram->zero_pages);

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:i}", "transferred",
                     (json_int_t)stats->wire.bytes, "remaining", (json_int_t)ram->remaining_bytes, "total",
                     (json_int_t)ram->total_bytes, "duplicate", (json_int_t)ram->zero_pages, "normal",
                     (json_int_t)ram->normal_pages, "normal-bytes", (json_int_t)(ram->normal_pages * FERRY_PAGE_BYTES),
                     "dirty-sync-count", (json_int_t)ram->rounds, "dirty-pages-rate",
                     (json_int_t)(ram->dirty_bytes_per_sec / FERRY_PAGE_BYTES), "mbps",
                     seconds > 0 ? (double)stats->wire.bytes * 8 / 1e6 / seconds : 0.0, "pages-per-second",
                     seconds > 0 ? (json_int_t)(pages / seconds) : (json_int_t)0, "page-size", FERRY_PAGE_BYTES);
}

/* Every step of building an object that goes wrong takes the object along. */
static json_t *with(json_t *object, const char *name, json_t *value)
{
    if (object && json_object_set_new(object, name, value) == 0)
        return object;
    if (!object)
        json_decref(value);
    json_decref(object);
    return NULL;
}

static json_t *with_time(json_t *object, const char *name, int64_t ns, bool is_known)
{
    return is_known ? with(object, name, json_integer(whole_ms(ns))) : object;
}

/* Devices that go on without (all of) their state; the list ends where the figures do. */
static json_t *impaired_json(const struct ferry_impaired_stats *impaired)
{
    json_t *list = json_array();
    uint32_t shown = impaired->count < FERRY_IMPAIRED_SHOWN ? impaired->count : FERRY_IMPAIRED_SHOWN;

    for (uint32_t i = 0; list && i < shown; i++) {
        const struct ferry_impaired_device *device = &impaired->device[i];

        json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:s}", "name", device->name, "instance",
                                              (json_int_t)device->instance_id, "outcome",
                                              ferry_bad_state_name(device->outcome), "reason", device->reason));
    }
    return list;
}

json_t *report_stats_json(const char *side, const struct ferry_stats *stats)
{
    bool is_source = !strcmp(side, "source");
    const struct ferry_time_stats *time = &stats->time;
    json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I}", "version", FERRY_VERSION, "side", side, "status",
                               ferry_phase_name(stats->phase), "total-time", (json_int_t)whole_ms(time->total_ns),
                               "total-time-us", (json_int_t)(time->total_ns / 1000));

    if (stats->id[0])
        object = with(object, "session", json_string(stats->id));
    object = with_time(object, "setup-time", time->setup_ns, is_source && time->setup_ns > 0);
    object = with_time(object, "downtime", time->downtime_ns, is_source && time->downtime_ns > 0);
    if (is_source && time->downtime_ns > 0)
        object = with(with(object, "downtime-us", json_integer(time->downtime_ns / 1000)), "downtime-parts",
                      report_downtime_json(&stats->downtime));
    object = with_time(object, "expected-downtime", time->expected_downtime_ns,
                       is_source && stats->ram.rounds > 0 && time->expected_downtime_ns >= 0);
    object = with(object, "ram", ram_json(stats));
    if (stats->wire.iterative_bytes > 0)
        object = with(object, "vfio", json_pack("{s:I}", "transferred", (json_int_t)stats->wire.iterative_bytes));
    if (stats->impaired.count > 0)
        object = with(object, "impaired-devices", impaired_json(&stats->impaired));
    object = with(object, "device-bytes", json_integer((json_int_t)stats->wire.device_bytes));
    object = with(object, "cpu", json_real((double)time->cpu_ns / NS_PER_SEC));
    if (stats->peer.dialect[0])
        object = with(object, "peer", report_peer_json(&stats->peer));
    if (stats->mapped.threads > 0)
        object = with(object, "mapped-ram",
                      json_pack("{s:I, s:I, s:s}", "threads", (json_int_t)stats->mapped.threads, "bytes",
                                (json_int_t)stats->mapped.bytes, "manner", stats->mapped.manner));
    if (is_source && stats->tracker[0])
        object = with(object, "tracker", json_string(stats->tracker));
    if (stats->verdict != FERRY_VERDICT_NONE)
        object = with(object, "verdict", json_string(ferry_verdict_name(stats->verdict)));
    return report_convergence_json(object, stats);
}

json_t *report_error_json(const struct ferry_error *err)
{
    const char *advice = ferry_error_advice(err);
    json_t *object =
        json_pack("{s:s, s:i, s:s, s:s, s:s}", "code", ferry_code_name(err->code), "number", (int)err->code, "phase",
                  err->phase, "side", ferry_side_name(err->side), "text", err->text);

    if (err->from_peer)
        object = with(object, "from-peer", json_true());
    if (err->object[0])
        object = with(object, "object", json_string(err->object));
    if (err->offset >= 0)
        object = with(object, "offset", json_integer(err->offset));
    if (advice[0])
        object = with(object, "hint", json_string(advice));
    return object;
}

static json_t *verify_json(const struct bench_verify *verify)
{
    json_t *object = json_pack("{s:I, s:I, s:I}", "pages", (json_int_t)verify->pages, "mismatched",
                               (json_int_t)verify->mismatched, "lost-writes", (json_int_t)verify->lost_writes);

    if (verify->first[0])
        object = with(object, "first", json_string(verify->first));
    return object;
}

static json_t *guest_json(const struct report *report)
{
    const struct bench_figures *guest = &report->guest;

    return json_pack("{s:b, s:I, s:I, s:f}", "runs-here", report->guest_runs, "ram-bytes", (json_int_t)guest->ram_bytes,
                     "dirty-bytes-per-second", (json_int_t)guest->dirty_bytes_per_sec, "largest-gap",
                     ms((int64_t)guest->largest_gap_ns));
}

static json_t *with_blackout(json_t *object, const struct bench_figures *guest)
{
    object = with(object, "guest-blackout", json_real(ms(guest->blackout_ns)));
    if (guest->blackout_by_wall_clock)
        object = with(object, "guest-blackout-clock", json_string("wall"));
    return object;
}

static const char *status_of(const struct report *report)
{
    if (report->stats.phase == FERRY_PHASE_UNCERTAIN)
        return strcmp(report->side, "destination") ? ferry_phase_name(FERRY_PHASE_UNCERTAIN) : "undecided";
    if (report->stats.phase == FERRY_PHASE_POSTCOPY_PAUSED) /* a cancel came too late */
        return ferry_phase_name(FERRY_PHASE_POSTCOPY_PAUSED);
    if (report->cancelled && report->stats.phase != FERRY_PHASE_COMPLETED)
        return "cancelled";
    if (report->error.errnum && report->stats.phase != FERRY_PHASE_COMPLETED)
        return ferry_phase_name(FERRY_PHASE_FAILED);
    return ferry_phase_name(report->stats.phase);
}

/* Before there were figures of each, the one that was connected. */
static json_t *channels_json(const struct report *report)
{
    if (report->channels_count > 0)
        return report_channels_json(report->channels, report->channels_count);
    if (!report->stats.channel[0])
        return json_array();
    return json_pack("[{s:s, s:s, s:I}]", "address", report->stats.channel, "role", "main", "bytes",
                     (json_int_t)report->stats.wire.bytes);
}

json_t *report_json(const struct report *report)
{
    json_t *object = report_stats_json(report->side, &report->stats);

    object = report_postcopy_add(object, !strcmp(report->side, "source"), &report->stats, report->threads,
                                 report->threads_count);
    object = with(object, "status", json_string(status_of(report)));
    object = with(object, "channels", channels_json(report));
    if (report->channels_count > 1 && !strcmp(report->side, "source"))
        object =
            with(object, "channels-used", json_integer(report_channels_used(report->channels, report->channels_count)));
    if (report->guest_known)
        object = with(object, "guest", guest_json(report));
    if (report->guest_known && report->guest.touches.count > 0)
        report_postcopy_add_touches(object, &report->guest.touches);
    if (report->guest_known && !strcmp(report->side, "destination") && report->guest.blackout_ns >= 0)
        object = with_blackout(object, &report->guest);
    if (report->verified)
        object = with(object, "verify", verify_json(&report->verify));
    if (report->error.errnum)
        object = with(object, "error", report_error_json(&report->error));
    return object;
}

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value > 0 ? (uint64_t)value : 0;
}

static enum ferry_phase phase_named(const char *name)
{
    for (int phase = FERRY_PHASE_NONE; name && phase <= FERRY_PHASE_POSTCOPY_RECOVER; phase++)
        if (!strcmp(name, ferry_phase_name((enum ferry_phase)phase)))
            return (enum ferry_phase)phase;
    return FERRY_PHASE_NONE;
}

void report_figures(const json_t *stats, struct progress_figures *figures)
{
    const char *side = json_string_value(json_object_get(stats, "side"));
    const json_t *ram = json_object_get(stats, "ram");

    *figures = (struct progress_figures){
        .phase = phase_named(json_string_value(json_object_get(stats, "status"))),
        .total_ns = (int64_t)number(stats, "total-time-us") * 1000,
        .total_bytes = number(ram, "total"),
        .done_bytes = (number(ram, "normal") + number(ram, "duplicate")) * FERRY_PAGE_BYTES,
        .remaining_bytes = number(ram, "remaining"),
        .wire_bytes = number(ram, "transferred"),
        .dirty_bytes_per_sec = number(ram, "dirty-pages-rate") * FERRY_PAGE_BYTES,
        .rounds = number(ram, "dirty-sync-count"),
        .receiving = side && !strcmp(side, "destination"),
    };
}

/* The better of two states is not the truth. */
static json_t *status_of_both(const json_t *source, const json_t *destination)
{
    const char *there = json_string_value(json_object_get(destination, "status"));
    const char *here = json_string_value(json_object_get(source, "status"));

    if (here && there && !strcmp(here, "completed"))
        return json_string(there);
    return json_string(here ? here : ferry_phase_name(FERRY_PHASE_FAILED));
}

json_t *report_merge(json_t *source, json_t *destination)
{
    static const char *const of_source[] = { "total-time", "setup-time", "downtime",     "ram",
                                             "vfio",       "channels",   "channels-used" };
    static const char *const of_destination[] = { "guest-blackout", "verify", "postcopy-latency",
                                                  "postcopy-latency-dist", "postcopy-blocktime" };
    json_t *object = json_pack("{s:s, s:o}", "version", FERRY_VERSION, "status", status_of_both(source, destination));
    json_t *value;

    for (size_t i = 0; i < sizeof(of_source) / sizeof(of_source[0]); i++)
        if ((value = json_object_get(source, of_source[i])))
            object = with(object, of_source[i], json_incref(value));
    for (size_t i = 0; i < sizeof(of_destination) / sizeof(of_destination[0]); i++)
        if ((value = json_object_get(destination, of_destination[i])))
            object = with(object, of_destination[i], json_incref(value));
    object = with(object, "source", source ? json_incref(source) : json_null());
    return with(object, "destination", destination ? json_incref(destination) : json_null());
}

int report_write(FILE *to, json_t *object, bool pretty, struct ferry_error *err)
{
    size_t flags = JSON_REAL_PRECISION(9) | (pretty ? JSON_INDENT(2) : JSON_COMPACT);

    errno = 0;
    if (!object || json_dumpf(object, to, flags) < 0 || fputc('\n', to) == EOF || fflush(to) == EOF)
        return ferry_error_set(err, object && errno ? -errno : -ENOMEM, "the report could not be written: %s",
                               strerror(object && errno ? errno : ENOMEM));
    return 0;
}
