/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_report.h - what a plan says, in words and as JSON */
#ifndef TOOLS_PLAN_REPORT_H
#define TOOLS_PLAN_REPORT_H

#include "simulate.h"

#include <jansson.h>
#include <stdio.h>

struct plan_report {
    struct sim_terms terms;
    struct sim_result likely, least, most;
    json_t *measured; /* borrowed; what was probed and sampled; NULL: nothing, it is simulated */
};

/* Simulates, with bounds. */
void plan_report_make(struct plan_report *report);

/* Is it to be begun? */
bool plan_report_go(const struct plan_report *report);

/* The caller's reference, or NULL when out of memory. */
json_t *plan_report_json(const struct plan_report *report);

void plan_report_print(FILE *to, const struct plan_report *report);

#endif
