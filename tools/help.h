/* SPDX-License-Identifier: BSD-3-Clause */
/* help.h - what `ferry --help` and `ferry COMMAND --help` print, made from the tables */
#ifndef TOOLS_HELP_H
#define TOOLS_HELP_H

#include "args.h"

#include <stdio.h>

#define COMMAND_FORMS 4

/* One command of the program. */
struct command {
    const char *name;
    const char *what; /* a few words */
    int (*main)(int argc, char **argv);
    const struct args_command *forms[COMMAND_FORMS]; /* one; "keys" has one for each of its words; NULL ends them */
};

/* What the program's exit status says; a row without text ends them. */
struct help_status {
    int status;
    const char *text;
};
extern const struct help_status help_statuses[];

/* @commands ends with a row without a name. */
void help_program(FILE *to, const struct command *commands);

void help_command(FILE *to, const struct args_command *command);

/* Every option of a migration, with what it does. */
void help_settings(FILE *to);

/* "ferry send: unknown option '--x'", its hint, and where help is.  Returns EXIT_USAGE. */
int help_usage(const struct args_command *command, const struct ferry_error *err);

#endif
