/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_events.c - what clients are told unasked: MIGRATION, MIGRATION_PASS, STOP, RESUME
 *
 *      commands      setup, cancelling
 *      notices       active, pre-switchover, device; whether the guest runs
 *      main thread   how it ended
 *      a look, 20 times a second: the number of rounds, postcopy, its interruptions
 */
#include "qmp_control.h"

#include <string.h>
#include <time.h>

#define LOOK_MS 50

json_t *qmp_event_json(const char *name, json_t *data)
{
    struct timespec now;
    json_t *event;

    clock_gettime(CLOCK_REALTIME, &now);
    event = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec, "microseconds",
                      (json_int_t)(now.tv_nsec / 1000), "event", name);
    if (!event)
        json_decref(data);
    else if (data)
        json_object_set_new(event, "data", data);
    return event;
}

static void post(struct qmp_control *control, const char *name, json_t *data)
{
    control->terms.post(control->terms.opaque, qmp_event_json(name, data));
}

void qmp_control_tell_status(struct qmp_control *control, const char *status)
{
    if (control->told.status && !strcmp(control->told.status, status))
        return;
    control->told.status = status;
    if (control->settings.events)
        post(control, "MIGRATION", json_pack("{s:s}", "status", status));
}

static void tell_passes(struct qmp_control *control, uint64_t rounds)
{
    while (control->told.passes < rounds) {
        control->told.passes++;
        if (control->settings.events)
            post(control, "MIGRATION_PASS", json_pack("{s:I}", "pass", (json_int_t)control->told.passes));
    }
}

static bool is_postcopy(enum ferry_phase phase)
{
    return phase == FERRY_PHASE_POSTCOPY_ACTIVE || phase == FERRY_PHASE_POSTCOPY_PAUSED ||
           phase == FERRY_PHASE_POSTCOPY_RECOVER_SETUP || phase == FERRY_PHASE_POSTCOPY_RECOVER;
}

/* It may have been paused, and gone on, between two looks: each step is told once and in its order. */
static void tell_resumed(struct qmp_control *control, uint64_t resumed)
{
    static const enum ferry_phase steps[] = { FERRY_PHASE_POSTCOPY_PAUSED, FERRY_PHASE_POSTCOPY_RECOVER_SETUP,
                                              FERRY_PHASE_POSTCOPY_RECOVER, FERRY_PHASE_POSTCOPY_ACTIVE };
    const unsigned count = sizeof(steps) / sizeof(steps[0]);

    for (; control->told.resumed < resumed; control->told.resumed++) {
        unsigned next = 0;

        for (unsigned i = 0; control->told.status && i + 1 < count; i++)
            if (!strcmp(control->told.status, ferry_phase_name(steps[i])))
                next = i + 1;
        for (; next < count; next++)
            if (steps[next] != FERRY_PHASE_POSTCOPY_RECOVER_SETUP || control->terms.is_source)
                qmp_control_tell_status(control, ferry_phase_name(steps[next]));
    }
}

static void look(struct qmp_control *control)
{
    struct ferry_stats stats;

    ferry_session_stats(control->migration.session, &stats);
    if (control->terms.is_source)
        tell_passes(control, stats.ram.rounds);
    tell_resumed(control, stats.postcopy.resumed);
    if (is_postcopy(stats.phase))
        qmp_control_tell_status(control, ferry_phase_name(stats.phase));
}

int qmp_control_tick(struct qmp_control *control)
{
    bool runs;

    pthread_mutex_lock(&control->lock);
    runs = qmp_control_is_under_way(control);
    if (control->migration.session && control->settings.events)
        look(control);
    pthread_mutex_unlock(&control->lock);
    return runs ? LOOK_MS : -1;
}

static void tell_guest(struct qmp_control *control, bool stopped)
{
    if (control->told.stopped == stopped)
        return;
    control->told.stopped = stopped;
    post(control, stopped ? "STOP" : "RESUME", NULL);
}

void qmp_control_stopped(struct qmp_control *control)
{
    pthread_mutex_lock(&control->lock);
    tell_guest(control, true);
    pthread_mutex_unlock(&control->lock);
}

int qmp_control_notice(void *opaque, const struct ferry_notice *notice, struct ferry_error *err)
{
    struct qmp_control *control = opaque;

    bool stopped = notice->guest == FERRY_GUEST_STOPPED;

    pthread_mutex_lock(&control->lock);
    tell_guest(control, stopped);
    if (notice->migration == FERRY_MIGRATION_ACTIVE ||
        (control->terms.is_source && (notice->migration == FERRY_MIGRATION_DEVICE ||
                                      (notice->migration == FERRY_MIGRATION_PRE_SWITCHOVER && stopped))))
        qmp_control_tell_status(control, ferry_migration_state_name(notice->migration));
    pthread_mutex_unlock(&control->lock);
    return 0;
}

static void note_end(struct qmp_control *control, const struct ferry_stats *stats, const struct ferry_error *err)
{
    struct qmp_migration *migration = &control->migration;

    migration->stats = *stats;
    if (err)
        migration->error = *err;
    if (err && stats->phase == FERRY_PHASE_NONE)
        migration->stats.phase = migration->cancel ? FERRY_PHASE_CANCELLED : FERRY_PHASE_FAILED;
    if (control->terms.is_source)
        tell_passes(control, stats->ram.rounds);
    tell_resumed(control, stats->postcopy.resumed);
    qmp_control_tell_status(control, ferry_phase_name(migration->stats.phase));
}

void qmp_control_detach(struct qmp_control *control, const struct ferry_stats *stats, const struct ferry_error *err)
{
    struct qmp_migration *migration;

    if (!control)
        return;
    migration = &control->migration;
    pthread_mutex_lock(&control->lock);
    if (migration->stage == QMP_ASKED || migration->stage == QMP_RUNS) {
        if (migration->session)
            migration->count = ferry_session_channels(migration->session, migration->channels, QMP_CHANNELS_SHOWN);
        migration->session = NULL;
        migration->stage = QMP_OVER;
        note_end(control, stats, err);
    }
    pthread_mutex_unlock(&control->lock);
}
