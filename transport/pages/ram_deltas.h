/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_deltas.h - pages of the main stream as their difference from what the destination has (QEMU's xbzrle)
 *
 *      page --> copy --> copy of what was sent last?  yes: delta    no: whole, and it is known from now on
 *
 * In the first round nothing is known and all of memory goes: ram_put_batch() is for that.  Used by one thread.
 */
#ifndef PAGES_RAM_DELTAS_H
#define PAGES_RAM_DELTAS_H

#include "batch.h"

#include <ferry/stream.h>

struct ram_deltas;

/* Nothing is known.  NULL when out of memory. */
struct ram_deltas *ram_deltas_new(const struct ram_map *map);

/* NULL is legal. */
void ram_deltas_free(struct ram_deltas *deltas);

/* As ram_put_batch(), and once it was called every page goes by it: a delta is legal only against what went last.  The
 * content of pages is copied. */
void ram_deltas_put_batch(struct ram_deltas *deltas, struct ferry_writer *writer, const struct ram_block **last,
                          const struct page_batch *batch);

/* How many pages went as a difference so far; those that had not changed, and went as nothing, included. */
uint64_t ram_deltas_count(const struct ram_deltas *deltas);

#endif
