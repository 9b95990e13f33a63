/* SPDX-License-Identifier: BSD-3-Clause */
/* manual.c - `ferry help`: help on a command, and the pages and the completion that are made of the same tables */
#include "commands.h"
#include "complete.h"
#include "exit.h"
#include "help.h"
#include "man.h"

#include <errno.h>
#include <string.h>

static const struct args_row rows[] = {
    { "man", NULL, "as a page of the manual" },
    { "bash-completion", NULL, "instead: what bash needs to complete command lines of ferry" },
    { NULL },
};

const struct args_command help_form = {
    .name = "help",
    .positional = "COMMAND",
    .may_omit = true,
    .summary = "help on a command, or on all of them",
    .examples = "  ferry help send\n"
                "  ferry help send --man | man -l -\n"
                "  . <(ferry help --bash-completion)\n",
    .rows = rows,
};

/* NULL is legal, and is not found. */
static const struct command *find(const char *name)
{
    for (const struct command *c = commands; name && c->name; c++)
        if (!strcmp(name, c->name))
            return c;
    return NULL;
}

static enum exit_status help_on(const struct command *command)
{
    char *argv[] = { (char *)command->name, (char *)"--help", NULL };

    return (enum exit_status)command->main(2, argv);
}

static enum exit_status answer(const struct args *args)
{
    const char *name = args_positional(args);
    const struct command *command = find(name);
    struct ferry_error err = { 0 };

    if (name && !command) {
        ferry_error_set(&err, -EINVAL, "unknown command '%s'", name);
        return (enum exit_status)help_usage(&help_form, &err);
    }
    if (args_value(args, "bash-completion"))
        complete_bash(stdout, commands);
    else if (args_value(args, "man") && command)
        man_command(stdout, command, commands);
    else if (args_value(args, "man"))
        man_program(stdout, commands);
    else if (command)
        return help_on(command);
    else
        help_program(stdout, commands);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int help_main(int argc, char **argv)
{
    struct ferry_error err = { 0 };
    struct args *args = args_parse(&help_form, argc, argv, &err);
    enum exit_status status = EXIT_DONE;

    if (!args)
        return help_usage(&help_form, &err);
    if (args_help(args))
        help_command(stdout, &help_form);
    else
        status = answer(args);
    args_free(args);
    return status;
}
