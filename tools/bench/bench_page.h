/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_page.h - what a benchmark found, as one page of HTML that needs nothing else */
#ifndef TOOLS_BENCH_PAGE_H
#define TOOLS_BENCH_PAGE_H

#include "bench_results.h"

/* Written anew; readable at any moment, since it takes its place only when it is whole. */
int bench_page_write(const char *path, const struct bench_results *results, struct ferry_error *err);

#endif
