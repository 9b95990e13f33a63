/* SPDX-License-Identifier: BSD-3-Clause */
/* prefault.h - makes the destination's memory ready ahead of the data
 *
 * First-touch faults are what a receiver otherwise spends its time on.  Private memory gets huge pages where the system
 * allows them, and a helper thread populates it some way ahead of the last page that arrived:
 *
 *      arrived            ready             not yet
 *   |=============|.......................|            |
 *                 ^ prefault_arrived()    ^ at most PREFAULT_AHEAD_BYTES further
 *
 * The way grows only while data really arrives densely, and shrinks where it does not.
 */
#ifndef MEMORY_PREFAULT_H
#define MEMORY_PREFAULT_H

#include "ram_map.h"

#define PREFAULT_AHEAD_BYTES (UINT64_C(32) << 20)

struct prefault;

/* NULL with @err where the kernel has no MADV_POPULATE_WRITE (5.14) or no thread can be had: go on without. */
struct prefault *prefault_new(struct ferry_error *err);

/* Data arrives for these pages now; what follows them is likely next.  Call it before the first of them is written.
 * Cheap: a few plain loads and stores, a system call at most once in 2 MiB.  Thread: any, several at once. */
void prefault_arrived(struct prefault *prefault, const struct ram_block *block, uint64_t page, uint64_t count);

/* Joins the helper; from then on nothing is done, whatever arrives.  May come again.  Others may be inside of
 * prefault_arrived() meanwhile.  NULL is legal. */
void prefault_stop(struct prefault *prefault);

/* Stops it, too.  NULL is legal. */
void prefault_free(struct prefault *prefault);

#endif
