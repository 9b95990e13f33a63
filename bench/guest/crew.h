/* SPDX-License-Identifier: BSD-3-Clause */
/* crew.h - the same work on many things, by as many threads as there are processors */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdint.h>

/**
 * crew_run() - call work(opaque, i) once for every i below @count, in no particular order
 *
 * Returns when all calls have returned.  The calling thread works, too, so it cannot fail: where no thread can be
 * had, it only takes longer.
 */
void crew_run(uint64_t count, void (*work)(void *opaque, uint64_t index), void *opaque);

#endif
