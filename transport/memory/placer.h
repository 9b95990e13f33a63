/* SPDX-License-Identifier: BSD-3-Clause */
/* placer.h - puts arrived pages in place
 *
 * prepare gives the address to read a page to, commit makes it the guest's.  The direct placer (precopy) hands out
 * guest memory itself, so commit is nothing; in postcopy another placer will hand out a staging page and install it
 * atomically.  No reader of pages asks which one it is.
 *
 * A reader may be ahead of what it knows: it guesses that the next pages follow, has them read into place, and finds
 * that they were something else.  What was prepared and never committed may hold garbage, so it may guess only where
 * placer_untouched() says that no page of the stream has been yet; the page's own record, which is still to come,
 * overwrites the garbage or has it zeroed.
 */
#ifndef MEMORY_PLACER_H
#define MEMORY_PLACER_H

#include "ram_map.h"
#include <stdbool.h>

struct placer;

struct placer_ops {
    /* Where to put @count neighbouring pages from @page on, which the caller proved to lie in @block; *got of them are
     * given, at least one.  From here on the pages count as holding data. */
    uint8_t *(*prepare)(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                        uint64_t *got);
    /* These pages of what was prepared are the guest's now; 0 of them: what was prepared is forgotten. */
    int (*commit)(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                  struct ferry_error *err);
    /* The pages are zero now.  Not written unless something is there. */
    int (*zero)(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                struct ferry_error *err);
    /* No prepare and no zero has concerned @page so far.  NULL: never the case. */
    bool (*untouched)(struct placer *placer, const struct ram_block *block, uint64_t page);
    void (*free)(struct placer *placer);
};

struct placer {
    const struct placer_ops *ops;
};

/**
 * placer_direct_new() - straight into the blocks of @map
 * @map: borrowed; may still grow
 * @prefault: make memory ready ahead of the data with a helper thread (see prefault.h)
 *
 * One thread at a time per block range; several threads on different pages are legal.
 */
struct placer *placer_direct_new(const struct ram_map *map, bool prefault, struct ferry_error *err);

/* What was placed by a direct placer stays, and nothing touches guest memory unasked any more: its helper has ended.
 * Pages may be placed meanwhile, and afterwards. */
void placer_direct_still(struct placer *placer);

/* Nothing was ever prepared or zeroed at @page: a reader that guesses may have it overwritten. */
bool placer_untouched(struct placer *placer, const struct ram_block *block, uint64_t page);

/* NULL is legal. */
void placer_free(struct placer *placer);

#endif
