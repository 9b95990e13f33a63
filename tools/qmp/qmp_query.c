/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_query.c - what query-migrate answers: QEMU's members, and all of ours in one named "ferry"
 *
 *      {"status": "active", "total-time": 512, "ram": {...},      as QEMU has them
 *       "ferry": {"verdict": "converging", "channels": [...]}}    as the report has them (tools/report.h)
 */
#include "qmp_query.h"

#include "clock.h"
#include "qmp_address.h"
#include "report.h"

#include <string.h>

struct view {
    struct ferry_stats stats;
    const struct ferry_channel_stats *channels;
    unsigned count;
};

static json_t *with(json_t *object, const char *name, json_t *value)
{
    if (object && value && json_object_set_new(object, name, value) == 0)
        return object;
    if (!object)
        json_decref(value);
    json_decref(object);
    return NULL;
}

static json_int_t ms(int64_t ns)
{
    return ns > 0 ? (ns + NS_PER_MS / 2) / NS_PER_MS : 0;
}

static uint64_t multifd_bytes(const struct view *view)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < view->count; i++)
        if (!strcmp(view->channels[i].role, "pages"))
            bytes += view->channels[i].bytes;
    return bytes;
}

/* Bits per second: of the last round, over all of it once it is over, as QEMU does. */
static double mbps(const struct ferry_stats *stats)
{
    double seconds = (double)(stats->time.total_ns - stats->time.setup_ns) / NS_PER_SEC;

    if (stats->phase == FERRY_PHASE_COMPLETED)
        return seconds > 0 ? (double)stats->wire.bytes * 8 / 1e6 / seconds : 0;
    return (double)stats->wire.bytes_per_sec * 8 / 1e6;
}

static json_t *ram_json(const struct view *view)
{
    const struct ferry_stats *stats = &view->stats;
    const struct ferry_ram_stats *ram = &stats->ram;
    double seconds = (double)(stats->time.total_ns - stats->time.setup_ns) / NS_PER_SEC;
    uint64_t down = stats->wire.device_bytes < stats->wire.bytes ? stats->wire.device_bytes : stats->wire.bytes;
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:i}", "total", (json_int_t)ram->total_bytes,
                  "remaining", (json_int_t)ram->remaining_bytes, "transferred", (json_int_t)stats->wire.bytes,
                  "duplicate", (json_int_t)ram->zero_pages, "normal", (json_int_t)ram->normal_pages, "normal-bytes",
                  (json_int_t)(ram->normal_pages * FERRY_PAGE_BYTES), "dirty-sync-count", (json_int_t)ram->rounds,
                  "dirty-pages-rate", (json_int_t)(ram->dirty_bytes_per_sec / FERRY_PAGE_BYTES), "mbps", mbps(stats),
                  "pages-per-second",
                  seconds > 0 ? (json_int_t)((double)(ram->normal_pages + ram->zero_pages) / seconds) : (json_int_t)0,
                  "page-size", FERRY_PAGE_BYTES);

    object = with(object, "multifd-bytes", json_integer((json_int_t)multifd_bytes(view)));
    object = with(object, "precopy-bytes", json_integer((json_int_t)(stats->wire.bytes - down)));
    object = with(object, "downtime-bytes", json_integer((json_int_t)down));
    object = with(object, "postcopy-bytes", json_integer(0));
    object = with(object, "postcopy-requests", json_integer(0));
    return with(object, "dirty-sync-missed-zero-copy", json_integer(0));
}

static bool is_postcopy(enum ferry_phase phase)
{
    return phase == FERRY_PHASE_POSTCOPY_ACTIVE || phase == FERRY_PHASE_POSTCOPY_PAUSED ||
           phase == FERRY_PHASE_POSTCOPY_RECOVER_SETUP || phase == FERRY_PHASE_POSTCOPY_RECOVER;
}

/* QEMU tells these while pages move and when they have; else the status alone. */
static bool has_figures(enum ferry_phase phase)
{
    return phase == FERRY_PHASE_ACTIVE || phase == FERRY_PHASE_DEVICE || phase == FERRY_PHASE_CANCELLING ||
           phase == FERRY_PHASE_PRE_SWITCHOVER || phase == FERRY_PHASE_COMPLETED || phase == FERRY_PHASE_UNCERTAIN ||
           is_postcopy(phase);
}

static json_t *source_json(json_t *object, const struct view *view)
{
    const struct ferry_stats *stats = &view->stats;

    if (!has_figures(stats->phase))
        return object;
    object = with(object, "total-time", json_integer(ms(stats->time.total_ns)));
    object = with(object, "setup-time", json_integer(ms(stats->time.setup_ns)));
    if (stats->phase == FERRY_PHASE_COMPLETED || stats->phase == FERRY_PHASE_UNCERTAIN || is_postcopy(stats->phase))
        object = with(object, "downtime", json_integer(ms(stats->time.downtime_ns)));
    else
        object = with(object, "expected-downtime", json_integer(ms(stats->time.expected_downtime_ns)));
    if (stats->wire.iterative_bytes > 0)
        object = with(object, "vfio", json_pack("{s:I}", "transferred", (json_int_t)stats->wire.iterative_bytes));
    return with(object, "ram", ram_json(view));
}

static json_t *destination_json(json_t *object, const struct qmp_migration *migration, enum ferry_phase phase)
{
    json_t *address = migration->address ? qmp_address_json(migration->address) : NULL;

    if (address && (phase == FERRY_PHASE_SETUP || phase == FERRY_PHASE_ACTIVE || is_postcopy(phase)))
        return with(object, "socket-address", json_pack("[o]", address));
    json_decref(address);
    return object;
}

static enum ferry_phase phase_named(const char *name)
{
    int phase = FERRY_PHASE_NONE;

    while (name && phase < FERRY_PHASE_POSTCOPY_RECOVER && strcmp(name, ferry_phase_name((enum ferry_phase)phase)))
        phase++;
    return (enum ferry_phase)phase;
}

/* A session that has ended is over for clients when this side has seen it: who is told so may ask for the next. */
static bool is_unseen_end(enum ferry_phase phase)
{
    return phase == FERRY_PHASE_COMPLETED || phase == FERRY_PHASE_FAILED || phase == FERRY_PHASE_CANCELLED;
}

/* As of now, or as of its end; that of one whose session is still being made. */
static void look(struct qmp_control *control, struct view *view)
{
    struct qmp_migration *migration = &control->migration;

    view->stats = migration->stats;
    if (migration->session) {
        ferry_session_stats(migration->session, &view->stats);
        migration->count = ferry_session_channels(migration->session, migration->channels, QMP_CHANNELS_SHOWN);
        if (is_unseen_end(view->stats.phase))
            view->stats.phase = phase_named(control->told.status);
    }
    view->channels = migration->channels;
    view->count = migration->count < QMP_CHANNELS_SHOWN ? migration->count : QMP_CHANNELS_SHOWN;
    if (!migration->session && migration->stage == QMP_ASKED)
        view->stats.phase = migration->cancel ? FERRY_PHASE_CANCELLING : FERRY_PHASE_SETUP;
}

enum ferry_phase qmp_query_phase(struct qmp_control *control)
{
    struct view view;

    look(control, &view);
    return view.stats.phase;
}

static json_t *ours(const struct qmp_control *control, const struct view *view)
{
    json_t *object = report_stats_json(control->terms.is_source ? "source" : "destination", &view->stats);

    if (view->count > 0)
        object = with(object, "channels", report_channels_json(view->channels, view->count));
    if (control->migration.error.errnum)
        object = with(object, "error", report_error_json(&control->migration.error));
    return object;
}

json_t *qmp_query_migrate(struct qmp_control *control)
{
    const struct qmp_migration *migration = &control->migration;
    struct view view;
    json_t *object;

    if (migration->stage == QMP_IDLE)
        return json_object();
    look(control, &view);
    object = json_pack("{s:s}", "status", ferry_phase_name(view.stats.phase));
    if (control->terms.is_source)
        object = source_json(object, &view);
    else
        object = destination_json(object, migration, view.stats.phase);
    if (migration->error.errnum && view.stats.phase != FERRY_PHASE_CANCELLED)
        object = with(object, "error-desc", json_string(migration->error.text));
    return with(object, "ferry", ours(control, &view));
}
