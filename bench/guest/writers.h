/* SPDX-License-Identifier: BSD-3-Clause */
/* writers.h - the threads that write guest memory, at a pace and in a pattern */
#ifndef BENCH_WRITERS_H
#define BENCH_WRITERS_H

#include "gate.h"
#include "regions.h"
#include "touches.h"

struct trace;
struct writers;

/**
 * writers_new() - threads that write while @gate is open
 * @regions, @gate, @touches: borrowed
 * @trace: to be replayed, by one thread; borrowed; NULL: as @spec says
 *
 * At a destination there is no trace: pages that were written there before are written at its pace.
 *
 * A guest that never writes, or has no page to write, has no threads but is legal.
 */
struct writers *writers_new(const struct guest_spec *spec, struct regions *regions, struct gate *gate,
                            struct touches *touches, const struct trace *trace, struct ferry_error *err);

/* After gate_quit().  NULL is legal. */
void writers_free(struct writers *writers);

/* From now on they work for 100 - @percent of their time; at most 99.  Thread: any. */
void writers_throttle(struct writers *writers, unsigned percent);

/* How many pages they wrote.  Thread: any. */
uint64_t writers_pages(struct writers *writers);

#endif
