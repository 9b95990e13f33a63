/* SPDX-License-Identifier: BSD-3-Clause */
/* help.h - what `ferry --help` and `ferry COMMAND --help` print, made from the tables */
#ifndef TOOLS_HELP_H
#define TOOLS_HELP_H

#include "args.h"

#include <stdio.h>

/* One command of the program. */
struct command {
    const char *name;
    const char *what; /* a few words */
    int (*main)(int argc, char **argv);
};

/* @commands ends with a row without a name. */
void help_program(FILE *to, const struct command *commands);

void help_command(FILE *to, const struct args_command *command);

/* Every option of a migration, with what it does. */
void help_settings(FILE *to);

/* "ferry send: unknown option '--x'", its hint, and where help is.  Returns EXIT_USAGE. */
int help_usage(const struct args_command *command, const struct ferry_error *err);

#endif
