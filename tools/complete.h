/* SPDX-License-Identifier: BSD-3-Clause */
/* complete.h - completion for bash, made from the tables that --help is made from */
#ifndef TOOLS_COMPLETE_H
#define TOOLS_COMPLETE_H

#include "help.h"

/* A whole file, to be sourced.  @commands ends with a row without a name. */
void complete_bash(FILE *to, const struct command *commands);

#endif
