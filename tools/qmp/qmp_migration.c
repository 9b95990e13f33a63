/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_migration.c - the commands that move the guest, or stop moving it */
#include "exposed.h"
#include "qmp_address.h"
#include "qmp_command_rows.h"
#include "qmp_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *fail(struct ferry_error *err, int errnum, const char *text)
{
    ferry_error_set(err, errnum, "%s", text);
    return NULL;
}

/* It runs at the destination, or may. */
static bool has_left(enum ferry_phase phase)
{
    return phase == FERRY_PHASE_COMPLETED || phase == FERRY_PHASE_UNCERTAIN || phase == FERRY_PHASE_POSTCOPY_ACTIVE ||
           phase == FERRY_PHASE_POSTCOPY_PAUSED || phase == FERRY_PHASE_POSTCOPY_RECOVER_SETUP ||
           phase == FERRY_PHASE_POSTCOPY_RECOVER;
}

/* A postcopy that is paused was told to go on: who waits for it waits for its session again. */
static void note_resumed(struct qmp_control *control)
{
    control->migration.resumed = true;
    pthread_cond_broadcast(&control->changed);
}

static json_t *resume(struct qmp_control *control, const char *uri, struct ferry_error *err)
{
    if (!control->terms.is_source || qmp_query_phase(control) != FERRY_PHASE_POSTCOPY_PAUSED)
        return fail(err, -EINVAL, "Cannot resume if there is no paused migration");
    if (ferry_session_resume(control->migration.session, uri, err) < 0)
        return NULL;
    note_resumed(control);
    return json_object();
}

static int may_migrate(const struct qmp_control *control, struct ferry_error *err)
{
    enum ferry_phase phase = control->migration.stats.phase;

    if (qmp_control_is_under_way(control))
        return ferry_error_set(err, -EBUSY, "There's a migration process in progress");
    if (!control->terms.is_source)
        return ferry_error_set(err, -EPERM, "Guest is waiting for an incoming migration");
    if (!control->terms.deferred)
        return ferry_error_set(err, -EPERM, "the address was given on the command line: nothing else is moved");
    if (control->migration.stage == QMP_OVER && has_left(phase))
        return ferry_error_set(err, -EPERM, "the guest has left, or may have");
    return 0;
}

static json_t *migrate(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    char *uri = qmp_address_uri(arguments, err);

    if (!uri)
        return NULL;
    if (json_is_true(json_object_get(arguments, "resume"))) {
        json_t *answer = resume(control, uri, err);

        free(uri);
        return answer;
    }
    if (may_migrate(control, err) < 0) {
        free(uri);
        return NULL;
    }
    free(control->migration.uri);
    control->migration.uri = uri;
    qmp_control_ask(control);
    return json_object();
}

static bool is_encrypted(const struct qmp_control *control)
{
    char creds[1100];

    return ferry_options_get(control->options, "tls-creds", creds, sizeof(creds), NULL) == 0 && creds[0];
}

/* Off this host it listens only with TLS, or where that was asked for. */
static struct ferry_listener *listen_at(const struct qmp_control *control, const char *uri, struct ferry_error *err)
{
    struct ferry_listener *listener = ferry_listener_open(uri, err);

    if (!listener || control->terms.insecure || is_encrypted(control) || exposed_refuse(listener, err) >= 0)
        return listener;
    ferry_listener_free(listener);
    return NULL;
}

static json_t *migrate_incoming(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    struct qmp_migration *migration = &control->migration;
    char *uri = qmp_address_uri(arguments, err);

    if (!uri)
        return NULL;
    if (control->terms.is_source)
        fail(err, -EPERM, "'-incoming' was not specified on the command line");
    else if (migration->began || !control->terms.deferred)
        fail(err, -EBUSY, "The incoming migration has already been started");
    else
        migration->listener = listen_at(control, uri, err);
    if (err->errnum) {
        free(uri);
        return NULL;
    }
    migration->uri = uri;
    migration->address = strdup(ferry_listener_address(migration->listener));
    qmp_control_ask(control);
    return json_object();
}

static json_t *migrate_cancel(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    enum ferry_phase phase = qmp_query_phase(control);
    bool paused = has_left(phase) && phase != FERRY_PHASE_POSTCOPY_ACTIVE; /* it stays so */

    if (qmp_control_is_under_way(control) && !paused) {
        control->migration.cancel = true;
        qmp_control_tell_status(control, ferry_phase_name(FERRY_PHASE_CANCELLING));
    }
    if (control->migration.session)
        ferry_session_cancel(control->migration.session);
    return json_object();
}

static bool is_status(const char *name)
{
    static const char *const all[] = {
        "none",
        "setup",
        "cancelling",
        "cancelled",
        "active",
        "postcopy-active",
        "postcopy-paused",
        "postcopy-recover-setup",
        "postcopy-recover",
        "completed",
        "failed",
        "colo",
        "pre-switchover",
        "device",
        "wait-unplug",
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!strcmp(all[i], name))
            return true;
    return false;
}

/* As QEMU has it, the state is what the client believes it to be; only a pause has something that can go on. */
static json_t *migrate_continue(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    const char *expected = json_string_value(json_object_get(arguments, "state"));
    enum ferry_phase phase = control->terms.is_source ? qmp_query_phase(control) : FERRY_PHASE_NONE;

    if (!is_status(expected))
        ferry_error_set(err, -EINVAL, "Parameter 'state' does not accept value '%.60s'", expected);
    else if (strcmp(ferry_phase_name(phase), expected) != 0)
        ferry_error_set(err, -EINVAL, "Migration not in expected state: %s", ferry_phase_name(phase));
    else if (phase != FERRY_PHASE_PRE_SWITCHOVER || ferry_session_continue(control->migration.session, err) == 0)
        return json_object();
    return NULL;
}

static json_t *migrate_start_postcopy(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    char postcopy[32] = "off";

    if (ferry_options_get(control->options, "postcopy", postcopy, sizeof(postcopy), err) < 0)
        return NULL;
    if (!strcmp(postcopy, "off"))
        return fail(err, -EPERM, "Enable postcopy with migrate_set_capability before the start of migration");
    if (!control->terms.is_source || !qmp_control_is_under_way(control))
        return fail(err, -EINVAL, "Start the migration before switching to postcopy");
    control->migration.postcopy = true;
    if (control->migration.session && ferry_session_start_postcopy(control->migration.session, err) < 0)
        return NULL;
    return json_object();
}

static json_t *migrate_pause(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    if (control->migration.session && ferry_session_pause(control->migration.session, NULL) == 0)
        return json_object();
    return fail(err, -ENOTSUP,
                "migrate-pause is currently only supported during postcopy-active or postcopy-recover state");
}

static json_t *migrate_recover(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    struct qmp_migration *migration = &control->migration;
    const char *uri = json_string_value(json_object_get(arguments, "uri"));
    struct ferry_listener *listener;
    char *address;
    int ret;

    if (control->terms.is_source || qmp_query_phase(control) != FERRY_PHASE_POSTCOPY_PAUSED)
        return fail(err, -ENOTSUP, "Migrate recover can only be run when postcopy is paused.");
    listener = listen_at(control, uri, err);
    if (!listener)
        return NULL;
    address = strdup(ferry_listener_address(listener));
    ret = ferry_session_recover(migration->session, listener, err);
    if (ret < 0) {
        ferry_listener_free(listener);
        free(address);
        return ret == -EBUSY ? fail(err, ret, "Migrate recovery is triggered already") : NULL;
    }
    free(migration->address);
    migration->address = address;
    note_resumed(control);
    return json_object();
}

static json_t *quit(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    control->quit = true;
    control->migration.cancel = true;
    if (control->migration.session)
        ferry_session_cancel(control->migration.session);
    pthread_cond_broadcast(&control->changed);
    control->terms.post(control->terms.opaque,
                        qmp_event_json("SHUTDOWN", json_pack("{s:b, s:s}", "guest", 0, "reason", "host-qmp-quit")));
    return json_object();
}

static const struct qmp_argument migrate_arguments[] = {
    { "uri", QMP_STRING }, { "channels", QMP_ARRAY }, { "detach", QMP_BOOLEAN }, { "resume", QMP_BOOLEAN }, { NULL },
};

static const struct qmp_argument incoming_arguments[] = {
    { "uri", QMP_STRING },
    { "channels", QMP_ARRAY },
    { "exit-on-error", QMP_BOOLEAN },
    { NULL },
};

static const struct qmp_argument continue_arguments[] = { { "state", QMP_STRING, true }, { NULL } };
static const struct qmp_argument recover_arguments[] = { { "uri", QMP_STRING, true }, { NULL } };

const struct qmp_command qmp_migration_commands[] = {
    { "migrate", migrate, migrate_arguments },
    { "migrate-incoming", migrate_incoming, incoming_arguments },
    { "migrate_cancel", migrate_cancel },
    { "migrate-continue", migrate_continue, continue_arguments },
    { "migrate-start-postcopy", migrate_start_postcopy },
    { "migrate-pause", migrate_pause, .oob = true },
    { "migrate-recover", migrate_recover, recover_arguments, .oob = true },
    { "quit", quit },
    { NULL },
};
