/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.c - the figures of a process's migrations, in the text format of Prometheus
 *
 *     # HELP ferry_migration_bytes_total Bytes on the wire, on all channels.
 *     # TYPE ferry_migration_bytes_total counter
 *     ferry_migration_bytes_total{side="source"} 1288490188
 */
#include "metrics.h"

#include "clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What only ever grows. */
struct counted {
    uint64_t bytes, device_bytes, normal_pages, zero_pages, rounds, cpu_ns;
};

static const char *const results[] = { "completed", "failed", "cancelled", "uncertain", "postcopy-paused" };

#define RESULTS (sizeof(results) / sizeof(results[0]))

struct metrics {
    const char *side;
    pthread_mutex_t lock; /* guards what follows */
    struct counted before, now;
    uint64_t ended[RESULTS];
    struct ferry_stats stats; /* of the migration under way, or of the last */
    struct ferry_channel_stats channels[REPORT_CHANNELS_MAX];
    unsigned channels_count;
    int64_t blackout_ns; /* -1: not known */
};

struct metrics *metrics_new(const char *side)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));

    if (!metrics)
        return NULL;
    metrics->side = side;
    metrics->blackout_ns = -1;
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static void take(struct metrics *metrics, const struct ferry_stats *stats)
{
    metrics->stats = *stats;
    metrics->now = (struct counted){
        .bytes = stats->wire.bytes,
        .device_bytes = stats->wire.device_bytes,
        .normal_pages = stats->ram.normal_pages,
        .zero_pages = stats->ram.zero_pages,
        .rounds = stats->ram.rounds,
        .cpu_ns = (uint64_t)(stats->time.cpu_ns > 0 ? stats->time.cpu_ns : 0),
    };
}

void metrics_note(struct metrics *metrics, const struct ferry_stats *stats)
{
    if (!metrics || !stats->id[0]) /* nobody has come yet: the gauges are the last migration's */
        return;
    pthread_mutex_lock(&metrics->lock);
    take(metrics, stats);
    metrics->channels_count = 0;
    metrics->blackout_ns = -1;
    pthread_mutex_unlock(&metrics->lock);
}

static struct counted sum(const struct counted *a, const struct counted *b)
{
    return (struct counted){ a->bytes + b->bytes,
                             a->device_bytes + b->device_bytes,
                             a->normal_pages + b->normal_pages,
                             a->zero_pages + b->zero_pages,
                             a->rounds + b->rounds,
                             a->cpu_ns + b->cpu_ns };
}

void metrics_ended(struct metrics *metrics, const struct report *report, const char *result)
{
    if (!metrics)
        return;
    if (!result)
        result = "failed";
    if (!strcmp(result, "undecided"))
        result = "uncertain";
    pthread_mutex_lock(&metrics->lock);
    take(metrics, &report->stats);
    metrics->before = sum(&metrics->before, &metrics->now);
    metrics->now = (struct counted){ 0 };
    metrics->channels_count =
        report->channels_count < REPORT_CHANNELS_MAX ? report->channels_count : REPORT_CHANNELS_MAX;
    memcpy(metrics->channels, report->channels, metrics->channels_count * sizeof(metrics->channels[0]));
    if (report->guest_known && !strcmp(report->side, "destination"))
        metrics->blackout_ns = report->guest.blackout_ns;
    for (size_t i = 0; i < RESULTS; i++)
        metrics->ended[i] += !strcmp(results[i], result);
    pthread_mutex_unlock(&metrics->lock);
}

/* ---- as text ----------------------------------------------------------------------------------------------------- */

static void family(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP ferry_%s %s\n# TYPE ferry_%s %s\n", name, help, name, type);
}

/* A label's value: quotes, backslashes and newlines would end it early. */
static void put_value(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc(*text == '\n' ? ' ' : *text, to);
    }
}

/* ferry_NAME{side="...",LABEL="VALUE"} without what follows; @label NULL: the side alone. */
static void sample(FILE *to, const struct metrics *metrics, const char *name, const char *label, const char *value)
{
    fprintf(to, "ferry_%s{side=\"%s\"", name, metrics->side);
    if (label) {
        fprintf(to, ",%s=\"", label);
        put_value(to, value);
        fputc('"', to);
    }
    fputs("} ", to);
}

static void whole(FILE *to, const struct metrics *metrics, const char *name, const char *type, const char *help,
                  uint64_t number)
{
    family(to, name, type, help);
    sample(to, metrics, name, NULL, NULL);
    fprintf(to, "%" PRIu64 "\n", number);
}

/* Negative: not known, and then there is no sample. */
static void seconds(FILE *to, const struct metrics *metrics, const char *name, const char *help, int64_t ns)
{
    family(to, name, "gauge", help);
    if (ns < 0)
        return;
    sample(to, metrics, name, NULL, NULL);
    fprintf(to, "%.9g\n", (double)ns / NS_PER_SEC);
}

static void put_counters(FILE *to, const struct metrics *metrics)
{
    struct counted all = sum(&metrics->before, &metrics->now);

    family(to, "migrations_total", "counter", "Migrations that have ended, by how.");
    for (size_t i = 0; i < RESULTS; i++) {
        sample(to, metrics, "migrations_total", "result", results[i]);
        fprintf(to, "%" PRIu64 "\n", metrics->ended[i]);
    }
    whole(to, metrics, "migration_bytes_total", "counter", "Bytes on the wire, on all channels.", all.bytes);
    whole(to, metrics, "migration_device_bytes_total", "counter", "Of these, state of devices.", all.device_bytes);
    family(to, "migration_pages_total", "counter", "Pages that crossed, each time they did.");
    sample(to, metrics, "migration_pages_total", "kind", "normal");
    fprintf(to, "%" PRIu64 "\n", all.normal_pages);
    sample(to, metrics, "migration_pages_total", "kind", "zero");
    fprintf(to, "%" PRIu64 "\n", all.zero_pages);
    whole(to, metrics, "migration_rounds_total", "counter", "How often the dirty log was read.", all.rounds);
    family(to, "migration_cpu_seconds_total", "counter", "Processor time of this process during migrations.");
    sample(to, metrics, "migration_cpu_seconds_total", NULL, NULL);
    fprintf(to, "%.9g\n", (double)all.cpu_ns / NS_PER_SEC);
}

static void put_times(FILE *to, const struct metrics *metrics)
{
    const struct ferry_stats *stats = &metrics->stats;
    const struct ferry_downtime_stats *parts = &stats->downtime;
    const struct {
        const char *name;
        int64_t ns;
    } downtime[] = { { "stop", parts->stop_ns },       { "paused", parts->paused_ns },     { "pages", parts->pages_ns },
                     { "devices", parts->devices_ns }, { "transfer", parts->transfer_ns }, { "load", parts->load_ns },
                     { "start", parts->start_ns } };
    bool has_stopped = stats->time.downtime_ns > 0;

    seconds(to, metrics, "migration_duration_seconds", "Since the migration began.", stats->time.total_ns);
    seconds(to, metrics, "migration_setup_seconds", "Until the first page.", stats->time.setup_ns);
    seconds(to, metrics, "migration_expected_downtime_seconds", "By the figures of the last round.",
            stats->ram.rounds > 0 ? stats->time.expected_downtime_ns : -1);
    seconds(to, metrics, "migration_downtime_seconds", "How long the guest stood still, as the source measures it.",
            has_stopped ? stats->time.downtime_ns : -1);
    family(to, "migration_downtime_part_seconds", "gauge", "Where the downtime went.");
    for (size_t i = 0; has_stopped && i < sizeof(downtime) / sizeof(downtime[0]); i++) {
        sample(to, metrics, "migration_downtime_part_seconds", "part", downtime[i].name);
        fprintf(to, "%.9g\n", (double)downtime[i].ns / NS_PER_SEC);
    }
    seconds(to, metrics, "migration_blackout_seconds", "How long the guest stood still, as it saw it.",
            metrics->blackout_ns);
    seconds(to, metrics, "migration_round_trip_seconds", "To the other side and back, the fastest so far.",
            stats->peer.round_trip_ns > 0 ? stats->peer.round_trip_ns : -1);
    seconds(to, metrics, "migration_peer_silent_seconds", "How long nothing was heard, once that is suspect.",
            stats->peer.silent_ns);
}

static void put_gauges(FILE *to, const struct metrics *metrics)
{
    const struct ferry_stats *stats = &metrics->stats;
    const char *current = ferry_phase_name(stats->phase);

    family(to, "migration_phase", "gauge", "1 for the phase that the migration is in, or ended in.");
    sample(to, metrics, "migration_phase", "phase", current);
    fputs("1\n", to);
    whole(to, metrics, "migration_ram_bytes", "gauge", "Memory of the guest.", stats->ram.total_bytes);
    whole(to, metrics, "migration_remaining_bytes", "gauge", "Memory known to be left.", stats->ram.remaining_bytes);
    whole(to, metrics, "migration_dirty_bytes_per_second", "gauge", "What the guest writes.",
          stats->ram.dirty_bytes_per_sec);
    whole(to, metrics, "migration_throughput_bytes_per_second", "gauge", "What crossed in the last round.",
          stats->wire.bytes_per_sec);
    family(to, "migration_channel_bytes", "gauge", "Bytes that each connection of the last migration carried.");
    for (unsigned i = 0; i < metrics->channels_count; i++) {
        char number[16];

        snprintf(number, sizeof(number), "%u", i);
        sample(to, metrics, "migration_channel_bytes", "channel", number);
        fprintf(to, "%" PRIu64 "\n", metrics->channels[i].bytes);
    }
}

char *metrics_text(struct metrics *metrics)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);

    if (!to)
        return NULL;
    pthread_mutex_lock(&metrics->lock);
    family(to, "build_info", "gauge", "Which Ferry this is.");
    sample(to, metrics, "build_info", "version", FERRY_VERSION);
    fputs("1\n", to);
    put_counters(to, metrics);
    put_gauges(to, metrics);
    put_times(to, metrics);
    pthread_mutex_unlock(&metrics->lock);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}
