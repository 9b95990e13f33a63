/* SPDX-License-Identifier: BSD-3-Clause */
/* report_convergence.h - the part of the report about what it took to converge */
#ifndef TOOLS_REPORT_CONVERGENCE_H
#define TOOLS_REPORT_CONVERGENCE_H

#include <ferry/session.h>
#include <jansson.h>
#include <stdio.h>

/* Adds to a source's @object what is needed, what was done, and what waiting saved; takes it, returns it or NULL. */
json_t *report_convergence_json(json_t *object, const struct ferry_stats *stats);

/* The same in words, out of the report. */
void report_convergence_print(FILE *to, const json_t *source);

#endif
