/* SPDX-License-Identifier: BSD-3-Clause */
/* untouched.h - is memory that was never touched still zero? */
#ifndef BENCH_UNTOUCHED_H
#define BENCH_UNTOUCHED_H

#include "findings.h"
#include "mapping.h"

/* Looked up without touching it: pages that the kernel never made are not read.  Fails only when out of memory. */
int untouched_check(const struct mapping *mapping, const char *name, struct findings *findings,
                    struct ferry_error *err);

#endif
