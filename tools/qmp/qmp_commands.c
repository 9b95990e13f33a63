/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_commands.c - the table of QMP commands: names, arguments and what each does
 *
 * Those of one theme stand in files of their own: qmp_migration (what moves the guest), qmp_asked (what is asked and
 * set).  All of them are quick, so that what came out of band (exec-oob) need not overtake anything.
 */
#include "qmp_commands.h"

#include "qmp_command_rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static json_t *answer_with(const json_t *request, const char *name, json_t *value)
{
    const json_t *id = json_object_get(request, "id");
    json_t *answer = value ? json_pack("{s:o}", name, value) : NULL;

    if (answer && id)
        json_object_set(answer, "id", (json_t *)(uintptr_t)id);
    return answer;
}

static json_t *refuse(const json_t *request, const char *class, const char *desc)
{
    return answer_with(request, "error", json_pack("{s:s, s:s}", "class", class, "desc", desc));
}

static json_t *refuse_generic(const json_t *request, const struct ferry_error *err)
{
    const char *advice = ferry_error_advice(err);
    json_t *error = json_pack("{s:s, s:s}", "class", "GenericError", "desc", err->text);

    if (error && err->code && advice[0])
        json_object_set_new(error, "ferry",
                            json_pack("{s:s, s:s}", "code", ferry_code_name(err->code), "hint", advice));
    return answer_with(request, "error", error);
}

static const struct qmp_command *find(const char *name)
{
    for (const struct qmp_command *const *table = qmp_command_tables; *table; table++)
        for (const struct qmp_command *row = *table; row->name; row++)
            if (!strcmp(row->name, name))
                return row;
    return NULL;
}

static const char *type_name(enum qmp_type type)
{
    static const char *const names[] = { "string", "integer", "boolean", "array", "object" };

    return names[type];
}

static bool has_type(const json_t *value, enum qmp_type type)
{
    switch (type) {
    case QMP_STRING:
        return json_is_string(value);
    case QMP_INTEGER:
        return json_is_integer(value);
    case QMP_BOOLEAN:
        return json_is_boolean(value);
    case QMP_ARRAY:
        return json_is_array(value);
    case QMP_ANYTHING:
        return true;
    }
    return false;
}

static const struct qmp_argument *find_argument(const struct qmp_command *command, const char *name)
{
    for (const struct qmp_argument *row = command->arguments; row && row->name; row++)
        if (!strcmp(row->name, name))
            return row;
    return NULL;
}

static int check_arguments(const struct qmp_command *command, json_t *arguments, struct ferry_error *err)
{
    const char *name;
    json_t *value;

    for (const struct qmp_argument *row = command->arguments; row && row->name; row++) {
        value = json_object_get(arguments, row->name);
        if (!value && row->needed)
            return ferry_error_set(err, -EINVAL, "Parameter '%s' is missing", row->name);
        if (value && !has_type(value, row->type))
            return ferry_error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: %s", row->name,
                                   type_name(row->type));
    }
    if (command->takes_any)
        return 0;
    json_object_foreach (arguments, name, value) {
        if (!find_argument(command, name))
            return ferry_error_set(err, -EINVAL, "Parameter '%s' is unexpected", name);
    }
    return 0;
}

/* The members of a request; *name: of the command, *oob: how it came. */
static int check_request(const struct qmp_agreed *client, json_t *request, const char **name, bool *oob,
                         struct ferry_error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(request))
        return ferry_error_set(err, -EINVAL, "QMP input must be a JSON object");
    json_object_foreach (request, key, value) {
        bool is_oob = client->oob && !strcmp(key, "exec-oob");

        if (!strcmp(key, "arguments")) {
            if (!json_is_object(value))
                return ferry_error_set(err, -EINVAL, "QMP input member 'arguments' must be an object");
        } else if (is_oob || !strcmp(key, "execute")) {
            if (!json_is_string(value))
                return ferry_error_set(err, -EINVAL, "QMP input member '%s' must be a string", key);
            if (*name)
                return ferry_error_set(err, -EINVAL, "QMP input member 'execute' clashes with 'exec-oob'");
            *name = json_string_value(value);
            *oob = is_oob;
        } else if (strcmp(key, "id")) {
            return ferry_error_set(err, -EINVAL, "QMP input member '%.100s' is unexpected", key);
        }
    }
    return *name ? 0 : ferry_error_set(err, -EINVAL, "QMP input lacks member 'execute'");
}

static json_t *not_found(const json_t *request, const struct qmp_agreed *client, const char *name)
{
    char desc[256];

    if (!client->agreed)
        return refuse(request, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    if (!strcmp(name, "qmp_capabilities"))
        return refuse(request, "CommandNotFound", "Capabilities negotiation is already complete, command ignored");
    snprintf(desc, sizeof(desc), "The command %.120s has not been found", name);
    return refuse(request, "CommandNotFound", desc);
}

static json_t *agree(struct qmp_agreed *client, const json_t *request)
{
    const json_t *enable = json_object_get(json_object_get(request, "arguments"), "enable");
    const json_t *item;
    struct ferry_error err = { 0 };
    bool oob = false;
    size_t i;

    json_array_foreach (enable, i, item) {
        const char *name = json_string_value(item);

        if (!name || strcmp(name, "oob")) {
            ferry_error_set(&err, -EINVAL, "Parameter 'enable' does not accept value '%.100s'", name ? name : "null");
            return refuse_generic(request, &err);
        }
        oob = true;
    }
    client->agreed = true;
    client->oob = oob;
    return answer_with(request, "return", json_object());
}

static json_t *run(struct qmp_control *control, const struct qmp_command *command, json_t *request)
{
    json_t *arguments = json_object_get(request, "arguments");
    json_t *empty = arguments ? NULL : json_object(), *result = NULL;
    struct ferry_error err = { 0 };

    if (!arguments)
        arguments = empty;
    if (arguments && check_arguments(command, arguments, &err) == 0) {
        pthread_mutex_lock(&control->lock);
        result = command->run(control, arguments, &err);
        pthread_mutex_unlock(&control->lock);
    }
    json_decref(empty);
    if (err.errnum) {
        json_decref(result);
        return refuse_generic(request, &err);
    }
    return answer_with(request, "return", result);
}

json_t *qmp_commands_answer(struct qmp_control *control, struct qmp_agreed *client, const json_t *value,
                            const char *why)
{
    json_t *request = (json_t *)(uintptr_t)value;
    const struct qmp_command *command;
    struct ferry_error err = { 0 };
    const char *name = NULL;
    bool oob = false;
    char desc[256];

    if (!value)
        return refuse(NULL, "GenericError", why);
    if (check_request(client, request, &name, &oob, &err) < 0)
        return refuse_generic(request, &err);
    if (!client->agreed && !strcmp(name, "qmp_capabilities"))
        return agree(client, request);
    command = client->agreed ? find(name) : NULL;
    if (!command)
        return not_found(request, client, name);
    if (oob && !command->oob) {
        snprintf(desc, sizeof(desc), "The command %s does not support OOB", command->name);
        return refuse(request, "GenericError", desc);
    }
    return run(control, command, request);
}

json_t *qmp_commands_greeting(void)
{
    return json_pack("{s:{s:o, s:[s]}}", "QMP", "version", qmp_version_json(), "capabilities", "oob");
}
