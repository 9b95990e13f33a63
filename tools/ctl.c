/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl.c - `ferry ctl`: speak to the QMP socket of a side of a migration, ours or a QEMU's
 *
 *      ferry ctl unix:m.sock migrate-set-parameters max-bandwidth=50000000
 *                            |                      '-- JSON where it is JSON, else text
 *                            '-- {"execute": "migrate-set-parameters", "arguments": {...}}
 */
#include "commands.h"
#include "ctl_watch.h"
#include "exit.h"
#include "help.h"
#include "qmp_client.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct args_row rows[] = {
    { "timeout", "TIME", "how long to wait for the socket and an answer [5s]" },
    { "every", "TIME", "watch: how long between two looks [500ms]" },
    { NULL },
};

const struct args_command ctl_form = {
    .name = "ctl",
    .positional = "ADDRESS",
    .more = "COMMAND [KEY=VALUE...]",
    .summary = "speak to a running side by QMP",
    .about = "  ADDRESS   unix:PATH or unix:@NAME, where the other side takes commands; a QEMU's will do\n"
             "  COMMAND   any that the other side has; none: lists them, one a line\n"
             "            watch: shows how the migration goes, until it ends\n"
             "  VALUE     JSON where it is JSON, else text; capabilities are NAME=on or off\n",
    .examples = "  ferry ctl unix:m.sock migrate uri=tcp:192.0.2.7:4444\n"
                "  ferry ctl unix:m.sock migrate-set-parameters max-bandwidth=50000000\n"
                "  ferry ctl unix:m.sock migrate-set-capabilities events=on multifd=off\n"
                "  ferry ctl unix:m.sock watch\n",
    .rows = rows,
};

/* "key=value" of the command line, as an argument. */
static int add_argument(json_t *arguments, bool is_capability, const char *word, struct ferry_error *err)
{
    const char *equals = strchr(word, '=');
    json_t *value;
    char *key;

    if (!equals || equals == word)
        return ferry_error_set(err, -EINVAL, "'%s' is not KEY=VALUE", word);
    key = strndup(word, (size_t)(equals - word));
    if (!key)
        return ferry_error_set(err, -ENOMEM, "no memory for the arguments");
    if (is_capability) {
        value = json_pack("{s:s, s:b}", "capability", key, "state", !strcmp(equals + 1, "on"));
        json_array_append_new(json_object_get(arguments, "capabilities"), value);
    } else {
        value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
        json_object_set_new(arguments, key, value ? value : json_string(equals + 1));
    }
    free(key);
    return 0;
}

static json_t *take_arguments(const struct args *args, const char *name, struct ferry_error *err)
{
    bool is_capabilities = !strcmp(name, "migrate-set-capabilities");
    json_t *arguments = is_capabilities ? json_pack("{s:[]}", "capabilities") : json_object();
    const char *word;

    for (unsigned i = 1; arguments && (word = args_more(args, i)); i++) {
        if (add_argument(arguments, is_capabilities && strncmp(word, "capabilities=", 13), word, err) < 0) {
            json_decref(arguments);
            return NULL;
        }
    }
    return arguments;
}

static int failed(const struct ferry_error *err)
{
    fprintf(stderr, "ferry ctl: %s\n", ferry_error_text(err));
    return EXIT_FAILED;
}

static int list_commands(struct qmp_client *client)
{
    struct ferry_error err = { 0 };
    json_t *list = qmp_client_ask(client, "query-commands", NULL, &err);
    const json_t *item;
    size_t i;

    if (!list)
        return failed(&err);
    json_array_foreach (list, i, item)
        printf("%s\n", json_string_value(json_object_get(item, "name")));
    json_decref(list);
    return EXIT_DONE;
}

static int run_command(struct qmp_client *client, const char *name, json_t *arguments)
{
    struct ferry_error err = { 0 };
    json_t *answer = qmp_client_ask(client, name, arguments, &err);
    int status = EXIT_DONE;

    if (!answer)
        return failed(&err);
    if (json_is_array(answer) || json_object_size(answer) > 0)
        status = report_write(stdout, answer, true, &err) < 0 ? failed(&err) : EXIT_DONE;
    json_decref(answer);
    return status;
}

static int run(const struct args *args, int timeout_ms, int every_ms)
{
    const char *name = args_more(args, 0);
    struct ferry_error err = { 0 };
    json_t *arguments = name ? take_arguments(args, name, &err) : NULL;
    struct qmp_client *client;
    int status;

    if (name && !arguments)
        return help_usage(&ctl_form, &err);
    client = qmp_client_open(args_positional(args), timeout_ms, &err);
    if (!client) {
        json_decref(arguments);
        return failed(&err);
    }
    if (!name)
        status = list_commands(client);
    else if (!strcmp(name, "watch"))
        status = ctl_watch(client, every_ms);
    else
        status = run_command(client, name, json_incref(arguments));
    json_decref(arguments);
    qmp_client_close(client);
    return status;
}

int ctl_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&ctl_form, argc, argv, &err);
    uint64_t timeout_ns, every_ns;
    int status;

    if (!args)
        return help_usage(&ctl_form, &err);
    if (args_help(args)) {
        help_command(stdout, &ctl_form);
        status = EXIT_DONE;
    } else if (args_time(args, "timeout", UINT64_C(5000000000), &timeout_ns, &err) < 0 ||
               args_time(args, "every", UINT64_C(500000000), &every_ns, &err) < 0) {
        status = help_usage(&ctl_form, &err);
    } else {
        status = run(args, args_ms(timeout_ns), args_ms(every_ns));
    }
    args_free(args);
    return status;
}
