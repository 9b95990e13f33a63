/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_asked.c - the commands that ask how things are, and set how they shall be
 *
 * Beside QEMU's there are two of ours, by which everything of the options table can be reached under its own name.
 */
#include "qmp_command_rows.h"
#include "qmp_query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VALUE_BYTES 1100

json_t *qmp_version_json(void)
{
    unsigned major = 0, minor = 0, micro = 0;

    sscanf(FERRY_VERSION, "%u.%u.%u", &major, &minor, &micro);
    return json_pack("{s:{s:I, s:I, s:I}, s:s}", "qemu", "major", (json_int_t)major, "minor", (json_int_t)minor,
                     "micro", (json_int_t)micro, "package", "ferry " FERRY_VERSION);
}

static json_t *query_version(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    return qmp_version_json();
}

static json_t *query_commands(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    json_t *list = json_pack("[{s:s}]", "name", "qmp_capabilities");

    for (const struct qmp_command *const *table = qmp_command_tables; list && *table; table++)
        for (const struct qmp_command *row = *table; row->name; row++)
            json_array_append_new(list, json_pack("{s:s}", "name", row->name));
    return list;
}

static json_t *query_status(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    bool runs = qmp_control_guest_runs(control);
    const char *status = runs ? "running" : "inmigrate";

    if (!runs && (control->terms.is_source || control->migration.stage == QMP_OVER))
        status = "postmigrate";
    return json_pack("{s:s, s:b}", "status", status, "running", (int)runs);
}

static json_t *query_migrate(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    return qmp_query_migrate(control);
}

static json_t *query_parameters(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    return qmp_parameters_json(&control->settings);
}

static json_t *set_parameters(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    return qmp_parameters_set(&control->settings, arguments, err) < 0 ? NULL : json_object();
}

static json_t *query_capabilities(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    return qmp_capabilities_json(&control->settings);
}

static int check_capabilities(const json_t *list, struct ferry_error *err)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        if (!json_is_object(item))
            return ferry_error_set(err, -EINVAL, "Invalid parameter type for 'capabilities[%zu]', expected: object", i);
        if (!json_is_string(json_object_get(item, "capability")))
            return ferry_error_set(err, -EINVAL,
                                   "Invalid parameter type for 'capabilities[%zu].capability', expected: string", i);
        if (!json_is_boolean(json_object_get(item, "state")))
            return ferry_error_set(err, -EINVAL,
                                   "Invalid parameter type for 'capabilities[%zu].state', expected: boolean", i);
    }
    return 0;
}

static json_t *set_capabilities(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    const json_t *list = json_object_get(arguments, "capabilities");

    if (check_capabilities(list, err) < 0 || qmp_capabilities_set(&control->settings, list, err) < 0)
        return NULL;
    return json_object();
}

static bool is_ms(const json_t *arguments)
{
    const char *unit = json_string_value(json_object_get(arguments, "calc-time-unit"));

    return unit && !strcmp(unit, "millisecond");
}

static json_t *calc_dirty_rate(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    const json_t *pages = json_object_get(arguments, "sample-pages");
    const char *word = json_string_value(json_object_get(arguments, "mode"));
    int mode = word ? qmp_rate_mode_of(word) : QMP_RATE_PAGE_SAMPLING;
    struct qmp_rate_request request = {
        .time = json_integer_value(json_object_get(arguments, "calc-time")),
        .in_ms = is_ms(arguments),
        .mode = mode < 0 ? QMP_RATE_PAGE_SAMPLING : (enum qmp_rate_mode)mode,
        .sample_pages = pages && json_integer_value(pages) == 0 ? -1 : json_integer_value(pages),
    };

    if (mode < 0)
        ferry_error_set(err, -EINVAL, "Parameter 'mode' does not accept value '%.60s'", word);
    else if (!qmp_control_guest_runs(control))
        ferry_error_set(err, -EPERM, "the guest does not run here");
    else if (mode != QMP_RATE_PAGE_SAMPLING && qmp_control_is_under_way(control))
        ferry_error_set(err, -EBUSY, "mode %s is not enabled, use other method instead.", word);
    else
        qmp_dirty_rate_start(control->rate, &request, err);
    return err->errnum ? NULL : json_object();
}

static json_t *query_dirty_rate(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    return qmp_dirty_rate_json(control->rate, is_ms(arguments));
}

static json_t *query_options(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    json_t *list = json_array();
    struct ferry_option_info info;
    char value[VALUE_BYTES];

    for (unsigned i = 0; list && ferry_option_info(i, &info); i++)
        if (ferry_options_get(control->options, info.name, value, sizeof(value), err) == 0)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:s, s:b}", "name", info.name, "value", value, "form",
                                            info.form, "default", info.default_value, "live", (int)info.live));
    return list;
}

static json_t *set_option(struct qmp_control *control, json_t *arguments, struct ferry_error *err)
{
    const struct qmp_settings *settings = &control->settings;
    const char *name = json_string_value(json_object_get(arguments, "name"));
    const char *value = json_string_value(json_object_get(arguments, "value"));

    return settings->ops->set(settings->opaque, name, value, err) < 0 ? NULL : json_object();
}

static const struct qmp_argument capabilities_arguments[] = { { "capabilities", QMP_ARRAY, true }, { NULL } };

static const struct qmp_argument calc_arguments[] = {
    { "calc-time", QMP_INTEGER, true },
    { "calc-time-unit", QMP_STRING },
    { "sample-pages", QMP_INTEGER },
    { "mode", QMP_STRING },
    { NULL },
};

static const struct qmp_argument rate_arguments[] = { { "calc-time-unit", QMP_STRING }, { NULL } };

static const struct qmp_argument option_arguments[] = {
    { "name", QMP_STRING, true },
    { "value", QMP_STRING, true },
    { NULL },
};

const struct qmp_command qmp_asked_commands[] = {
    { "query-commands", query_commands },
    { "query-version", query_version },
    { "query-status", query_status },
    { "query-migrate", query_migrate },
    { "query-migrate-parameters", query_parameters },
    { "migrate-set-parameters", set_parameters, .takes_any = true },
    { "query-migrate-capabilities", query_capabilities },
    { "migrate-set-capabilities", set_capabilities, capabilities_arguments },
    { "calc-dirty-rate", calc_dirty_rate, calc_arguments },
    { "query-dirty-rate", query_dirty_rate, rate_arguments },
    { "x-ferry-query-options", query_options },
    { "x-ferry-set-option", set_option, option_arguments },
    { NULL },
};

const struct qmp_command *const qmp_command_tables[] = { qmp_migration_commands, qmp_asked_commands, NULL };
