/* SPDX-License-Identifier: BSD-3-Clause */
/* man.h - pages of section 1 of the manual, made from the tables that --help is made from */
#ifndef TOOLS_MAN_H
#define TOOLS_MAN_H

#include "help.h"

/* ferry(1).  @commands ends with a row without a name. */
void man_program(FILE *to, const struct command *commands);

/* ferry-COMMAND(1). */
void man_command(FILE *to, const struct command *command, const struct command *commands);

#endif
