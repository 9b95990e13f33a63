/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_live.h - what a plan is made from, where there are a link and a guest: it is measured */
#ifndef TOOLS_PLAN_LIVE_H
#define TOOLS_PLAN_LIVE_H

#include "args.h"
#include "guest.h"
#include "plan_report.h"
#include "sample.h"

struct plan_look {
    struct bench_guest *guest; /* runs; borrowed, as the next two */
    const char *uri;
    const struct ferry_options *options;
    enum sample_mode mode;
    uint64_t for_ns; /* how long the guest is looked at */
};

/* Probes the way to the URI, looks at what the guest writes.  Sets report->terms and report->measured (a reference).
 * Blocks. */
int plan_look(const struct plan_look *look, struct plan_report *report, struct ferry_error *err);

/* What the options of a migration add to what was measured, or said. */
void plan_add_settings(const struct ferry_options *options, struct sim_terms *terms);

/* Makes and runs the guest of --guest, probes and looks as plan_look() does. */
int plan_live(const struct args *args, struct plan_report *report, struct ferry_error *err);

#endif
