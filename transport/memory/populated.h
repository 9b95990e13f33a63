/* SPDX-License-Identifier: BSD-3-Clause */
/* populated.h - pages never touched are zero; the kernel knows which, so nobody has to read them */
#ifndef MEMORY_POPULATED_H
#define MEMORY_POPULATED_H

#include "dirty.h"
#include "ram_map.h"

/**
 * populated_scan() - which pages of @block have ever been touched
 * @map: of block->pages bits, all clear; a bit is set for every page that is possibly not zero
 *
 * Where the kernel cannot tell (no PAGEMAP_SCAN and no readable pagemap, or a block without FERRY_BLOCK_PRIVATE),
 * sets all bits.  A page touched during the call may be missed: start the tracker before, and the page is reported by
 * its next sync.  From the first sync on what it reports has to be added to @map before @map is believed again.
 * Fails only with -EINVAL, for a @map of another size.
 */
int populated_scan(const struct ram_block *block, struct dirty_map *map, struct ferry_error *err);

#endif
