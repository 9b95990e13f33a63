/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_live.h - what a plan is made from, where there are a link and a guest: it is measured */
#ifndef TOOLS_PLAN_LIVE_H
#define TOOLS_PLAN_LIVE_H

#include "args.h"
#include "plan_report.h"

/* Makes and runs the guest of --guest, probes the way to the URI, looks at what the guest writes.  Sets report->terms
 * and report->measured (a reference). */
int plan_live(const struct args *args, struct plan_report *report, struct ferry_error *err);

#endif
