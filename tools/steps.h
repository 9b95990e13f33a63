/* SPDX-License-Identifier: BSD-3-Clause */
/* steps.h - for tests: says each step of the switch, and stops this process at some of them
 *
 *      FERRY_STEPS=FILE         a line for each step, appended: "source committed"
 *      FERRY_STOP_AT=STEP,..    the process stops itself there (SIGSTOP), before anything follows
 *
 * Names: docs/switchover.md.
 */
#ifndef TOOLS_STEPS_H
#define TOOLS_STEPS_H

#include <ferry/options.h>

struct steps;

/* As the environment asks, in every session that gets @options.  @side: "source"; borrowed.  NULL with @err unset: it
 * asks for nothing. */
struct steps *steps_new(struct ferry_options *options, const char *side, struct ferry_error *err);

/* When no such session runs any more.  NULL is legal. */
void steps_free(struct steps *steps);

#endif
