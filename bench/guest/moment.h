/* SPDX-License-Identifier: BSD-3-Clause */
/* moment.h - points of time that another host may have to compare with its own */
#ifndef BENCH_MOMENT_H
#define BENCH_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* Digest of the kernel's boot id: equal ones share the monotonic clock; 0: not known. */
uint64_t moment_boot(void);

/* CLOCK_REALTIME. */
int64_t moment_wall_ns(void);

/**
 * moment_elapsed_ns() - how long it was since a moment here or elsewhere, at least 0
 * @same_boot: it was on this host: @ns is of its CLOCK_MONOTONIC.  Else @wall_ns counts, as good as the clocks agree.
 */
int64_t moment_elapsed_ns(int64_t ns, int64_t wall_ns, bool same_boot);

#endif
