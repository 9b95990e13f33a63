/* SPDX-License-Identifier: BSD-3-Clause */
/* prefault.h - makes the destination's memory ready ahead of the data
 *
 * First-touch faults are what a receiver otherwise spends its time on.  A helper thread populates memory (huge pages
 * where allowed) some way ahead of the last page that arrived:
 *
 *      arrived            ready             not yet
 *   |=============|.......................|            |
 *                 ^ prefault_arrived()    ^ at most `ahead` bytes further
 */
#ifndef MEMORY_PREFAULT_H
#define MEMORY_PREFAULT_H

#include "ram_map.h"

struct prefault;

/* NULL with @err where the kernel has no MADV_POPULATE_WRITE (5.14) or no thread can be had: go on without. */
struct prefault *prefault_new(struct ferry_error *err);

/* Data arrives for these pages now; what follows them is likely next.  Cheap: an atomic store when nothing is to do. */
void prefault_arrived(struct prefault *prefault, const struct ram_block *block, uint64_t page, uint64_t count);

/* Stops and joins the helper.  NULL is legal. */
void prefault_free(struct prefault *prefault);

#endif
