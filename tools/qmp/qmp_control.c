/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_control.c - what QMP clients ask for and what this side of a migration does about it */
#include "qmp_control.h"

#include <errno.h>
#include <ferry/capabilities.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES 1100

/* Row by row: there is no other way to copy options that everybody may use. */
static void copy_option(const struct ferry_options *from, struct ferry_options *to, const char *name)
{
    char value[VALUE_BYTES];

    if (ferry_options_get(from, name, value, sizeof(value), NULL) < 0 || ferry_options_set(to, name, value, NULL) < 0)
        return; /* it has been through the same check before */
}

static void copy_options(const struct ferry_options *from, struct ferry_options *to)
{
    static const enum ferry_capability_set sets[] = { FERRY_PROTOCOL_CAPABILITIES, FERRY_DEVICE_CAPABILITIES };
    struct ferry_capability_info capability;
    struct ferry_option_info info;
    bool on;

    for (unsigned i = 0; ferry_option_info(i, &info); i++)
        copy_option(from, to, info.name);
    for (unsigned set = 0; set < 2; set++)
        for (unsigned i = 0; ferry_capabilities_query(sets[set], i, &capability); i++)
            if (capability.supported && ferry_capabilities_get(from, capability.name, &on, NULL) == 0 &&
                ferry_capabilities_set(to, capability.name, on ? "on" : "off", NULL) < 0)
                return;
}

/* The lock is held: commands come from the server. */
static int set_option(void *opaque, const char *name, const char *value, struct ferry_error *err)
{
    struct qmp_control *control = opaque;
    int ret = 0;

    if (control->migration.session)
        ret = ferry_session_set_option(control->migration.session, name, value, err);
    return ret < 0 ? ret : ferry_options_set(control->options, name, value, err);
}

bool qmp_control_is_under_way(const struct qmp_control *control)
{
    return control->migration.stage == QMP_ASKED || control->migration.stage == QMP_RUNS;
}

static bool runs(void *opaque)
{
    return qmp_control_is_under_way(opaque);
}

struct qmp_control *qmp_control_new(const struct qmp_terms *terms, struct ferry_error *err)
{
    static const struct qmp_option_ops ops = { .set = set_option, .runs = runs };
    struct qmp_control *control = calloc(1, sizeof(*control));

    if (!control)
        goto fail;
    control->terms = *terms;
    control->terms.options = NULL;
    pthread_mutex_init(&control->lock, NULL);
    pthread_cond_init(&control->changed, NULL);
    control->options = ferry_options_new();
    control->rate = qmp_dirty_rate_new(terms->guest);
    if (!control->options || !control->rate)
        goto fail;
    copy_options(terms->options, control->options);
    qmp_settings_init(&control->settings, control->options, &ops, control);
    control->told.stopped = !terms->is_source;
    return control;
fail:
    qmp_control_free(control);
    ferry_error_set(err, -ENOMEM, "no memory for QMP");
    return NULL;
}

void qmp_control_free(struct qmp_control *control)
{
    if (!control)
        return;
    qmp_dirty_rate_free(control->rate);
    ferry_listener_free(control->migration.listener);
    free(control->migration.address);
    free(control->migration.uri);
    ferry_options_free(control->options);
    pthread_cond_destroy(&control->changed);
    pthread_mutex_destroy(&control->lock);
    free(control);
}

int qmp_control_wait(struct qmp_control *control)
{
    bool quit;

    pthread_mutex_lock(&control->lock);
    while (!control->migration.wanted && !control->quit)
        pthread_cond_wait(&control->changed, &control->lock);
    quit = control->quit;
    pthread_mutex_unlock(&control->lock);
    return quit ? -ESHUTDOWN : 0;
}

void qmp_control_quit(struct qmp_control *control)
{
    pthread_mutex_lock(&control->lock);
    control->quit = true;
    control->migration.cancel = true;
    if (control->migration.session)
        ferry_session_cancel(control->migration.session);
    pthread_cond_broadcast(&control->changed);
    pthread_mutex_unlock(&control->lock);
}

bool qmp_control_quits(struct qmp_control *control)
{
    bool quit;

    pthread_mutex_lock(&control->lock);
    quit = control->quit;
    pthread_mutex_unlock(&control->lock);
    return quit;
}

bool qmp_control_await_resume(struct qmp_control *control)
{
    struct qmp_migration *migration = &control->migration;
    bool resumed;

    pthread_mutex_lock(&control->lock);
    while (!migration->resumed && !migration->given_up && !control->quit)
        pthread_cond_wait(&control->changed, &control->lock);
    resumed = migration->resumed && !control->quit;
    migration->resumed = false;
    pthread_mutex_unlock(&control->lock);
    return resumed;
}

void qmp_control_give_up(struct qmp_control *control)
{
    pthread_mutex_lock(&control->lock);
    control->migration.given_up = true;
    pthread_cond_broadcast(&control->changed);
    pthread_mutex_unlock(&control->lock);
}

void qmp_control_ask(struct qmp_control *control)
{
    struct qmp_migration *migration = &control->migration;

    migration->stage = QMP_ASKED;
    migration->wanted = true;
    migration->cancel = false;
    migration->postcopy = false;
    migration->resumed = migration->given_up = false;
    migration->began = true;
    memset(&migration->stats, 0, sizeof(migration->stats));
    memset(&migration->error, 0, sizeof(migration->error));
    migration->count = 0;
    control->told.status = NULL;
    control->told.passes = 0;
    control->told.resumed = 0;
    qmp_control_tell_status(control, ferry_phase_name(FERRY_PHASE_SETUP));
    pthread_cond_broadcast(&control->changed);
}

void qmp_control_begin(struct qmp_control *control)
{
    if (!control)
        return;
    pthread_mutex_lock(&control->lock);
    qmp_control_ask(control);
    control->migration.wanted = false;
    pthread_mutex_unlock(&control->lock);
}

const char *qmp_control_take(struct qmp_control *control, struct ferry_options *options,
                             struct ferry_listener **listener)
{
    const char *uri;

    pthread_mutex_lock(&control->lock);
    qmp_dirty_rate_give_way(control->rate);
    control->migration.wanted = false;
    copy_options(control->options, options);
    uri = control->migration.uri;
    if (listener)
        *listener = control->migration.listener;
    control->migration.listener = NULL;
    pthread_mutex_unlock(&control->lock);
    return uri;
}

/* What was changed while there was no session yet. */
static void catch_up(struct qmp_control *control, struct ferry_session *session)
{
    char value[VALUE_BYTES];
    struct ferry_option_info info;

    for (unsigned i = 0; ferry_option_info(i, &info); i++)
        if (info.live && ferry_options_get(control->options, info.name, value, sizeof(value), NULL) == 0 &&
            ferry_session_set_option(session, info.name, value, NULL) < 0)
            continue; /* fixed in this session: it began with the same */
}

void qmp_control_attach(struct qmp_control *control, struct ferry_session *session)
{
    if (!control)
        return;
    pthread_mutex_lock(&control->lock);
    control->migration.session = session;
    control->migration.stage = QMP_RUNS;
    catch_up(control, session);
    if (control->migration.cancel)
        ferry_session_cancel(session);
    else if (control->migration.postcopy && ferry_session_start_postcopy(session, NULL) < 0)
        control->migration.postcopy = false; /* what was agreed to does not allow it: query-migrate tells the rest */
    pthread_mutex_unlock(&control->lock);
}

bool qmp_control_guest_runs(const struct qmp_control *control)
{
    return !control->told.stopped;
}
