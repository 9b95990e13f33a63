/* SPDX-License-Identifier: BSD-3-Clause */
/* placer_userfault.h - the parts of one thread's placer in postcopy
 *
 *      small pages     staging: 2 MiB that stay in the processor's cache, filled from the start for each batch
 *      huge pages      assembly: a few host pages side by side, each installed when its last piece has come
 */
#ifndef MEMORY_PLACER_USERFAULT_H
#define MEMORY_PLACER_USERFAULT_H

#include "batch.h"
#include "postcopy_parts.h"

/* ---- huge pages: placer_assembly.c ------------------------------------------------------------------------------- */

struct assembly_slot {
    const struct ram_block *block; /* NULL: free */
    uint64_t number;               /* of the host page in its block */
    uint64_t pages;                /* that came; 0: memory was handed out, no more */
    bool content;                  /* one that came is not zero; before, no zeros are written either */
    uint64_t *came;                /* owned: a bit per page */
};

/* Slots of one size; neighbouring host pages fall into different ones. */
struct assembly {
    uint64_t host_pages; /* 0: no memory yet */
    unsigned slots;
    uint8_t *memory; /* owned */
    struct assembly_slot *slot;
};

void assembly_clear(struct assembly *assembly);

/* What was handed out and did not come is forgotten. */
void assembly_forget(struct assembly *assembly);

/* Memory for pages from @page on, *got of them in one host page; NULL where they may not come now: assembly_commit()
 * says why. */
uint8_t *assembly_prepare(struct assembly *assembly, const struct postcopy_block *at, uint64_t page, uint64_t count,
                          uint64_t *got);

/* The pages came, as content or as zeros; host pages that are whole now are installed. */
int assembly_commit(struct assembly *assembly, struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page,
                    uint64_t count, bool zeros, struct ferry_error *err);

/* Has @page come, in a host page that is not whole yet? */
bool assembly_has(const struct assembly *assembly, const struct postcopy_block *at, uint64_t page);

#endif
