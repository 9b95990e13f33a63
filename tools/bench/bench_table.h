/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_table.h - what a benchmark found, as a table for a terminal */
#ifndef TOOLS_BENCH_TABLE_H
#define TOOLS_BENCH_TABLE_H

#include "bench_results.h"

void bench_table(FILE *to, const struct bench_results *results);

#endif
