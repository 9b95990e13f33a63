/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_predict.h - what was predicted of a run beside what came of it
 *
 *      {"go": true, "held": true, "rounds": {"predicted": 2, "measured": 2},
 *       "total-time": {"predicted": 812.0, "measured": 790.3, "error-percent": 2.7}, "blackout": {..}}      in ms
 */
#ifndef TOOLS_BENCH_PREDICT_H
#define TOOLS_BENCH_PREDICT_H

#include <jansson.h>

/* Adds "prediction" to a run that has a plan.  Times are compared where the guest was to arrive by precopy, and did. */
void bench_predict(json_t *record);

#endif
