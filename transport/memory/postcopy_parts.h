/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_parts.h - what the files of postcopy_ram share
 *
 * Four bits per page say what became of it, in this order:
 *
 *                  discarded   requested   claimed   received
 *      precopy's       0           0          1         1       never was missing
 *      missing         1           0          0         0
 *      touched         1           1          0         0       the source was asked
 *      installing      1           .          1         0       by the one thread whose claim it was
 *      arrived         1           .          1         1
 *
 * The claim decides between two threads that bring the same page; `received` is set only behind the installation, for
 * it is what allows the fault thread to put zeros there.
 */
#ifndef MEMORY_POSTCOPY_PARTS_H
#define MEMORY_POSTCOPY_PARTS_H

#include "atomic_bits.h"
#include "fault_waits.h"
#include "postcopy_ram.h"
#include <pthread.h>

enum huge_pages_before { HUGE_BY_DEFAULT, HUGE_WANTED, HUGE_REFUSED };

/* All but the words are fixed before anybody listens. */
struct postcopy_block {
    const struct ram_block *block;
    uint64_t host_pages; /* pages in a host page */
    bool mapped;         /* seen in the kernel's list */
    bool shared;         /* dropped by punching a hole in its file */
    bool file;           /* of small pages, with a file beneath */
    bool watched;        /* something of it was dropped */
    bool registered;
    uint64_t ioctls; /* what the kernel can do there, bits 1 << _UFFDIO_... */
    enum huge_pages_before huge;
    atomic_word *received, *claimed, *discarded, *requested; /* owned: one allocation, at `received` */
};

struct postcopy_counts {
    _Atomic(uint64_t) discarded, missing;
    _Atomic(uint64_t) requested, repeated, unasked, local, duplicates;
    _Atomic(uint64_t) copied_bytes, zeroed_bytes;
};

enum postcopy_state { POSTCOPY_ADVISED, POSTCOPY_LISTENING, POSTCOPY_ABANDONED, POSTCOPY_FINISHED };

struct postcopy_ram {
    const struct ram_map *map;          /* borrowed */
    const struct postcopy_ram_ops *ops; /* borrowed */
    void *opaque;
    int fd;
    int stop_fd;
    bool thread_runs;
    pthread_t thread;
    _Atomic(enum postcopy_state) state;
    atomic_int broken;             /* negative errno once a fault could not be answered */
    struct postcopy_block *blocks; /* owned; as many as the map has, in its order */
    unsigned count;
    uint8_t *zeros; /* as long as the longest host page, where a block has huge ones */
    uint64_t zeros_bytes;
    struct postcopy_counts counts;
    struct fault_waits waits;
};

static inline uint64_t postcopy_address(const struct postcopy_block *at, uint64_t page)
{
    return (uintptr_t)at->block->host + (page << FERRY_PAGE_SHIFT);
}

/* postcopy_check.c: what the blocks are; then, with the descriptor, whether all can be done with them. */
int postcopy_look(struct postcopy_ram *ram, struct ferry_error *err);
int postcopy_try(struct postcopy_ram *ram, struct ferry_error *err);

/* Its pages hide those of a file, which show again where one is dropped: such a touch is a minor fault. */
bool postcopy_over_file(const struct postcopy_block *at);

/* With which UFFDIO_REGISTER_MODE_... it is watched. */
uint64_t postcopy_mode(const struct postcopy_block *at);

/* postcopy_drop.c */
int postcopy_drop(struct postcopy_block *at, uint64_t first, uint64_t count, struct ferry_error *err);
void postcopy_huge_off(const struct postcopy_block *at);
void postcopy_huge_back(const struct postcopy_block *at);

/* postcopy_install.c: pages that came, to where the guest sees them.  Only those that are missing; legal for any page
 * of the block.  @from: their content, NULL for zeros. */
int postcopy_install(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page, uint64_t count,
                     const uint8_t *from, struct ferry_error *err);

/* What is to be seen of a received page that is not populated, and of some behind it where that is cheap: zeros or,
 * after a minor fault, its file's page.  Returns 0 or a negative errno. */
int postcopy_fill(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page, bool minor);

/* Poison what is missing of @at; returns 0 or a negative errno. */
int postcopy_poison(struct postcopy_ram *ram, struct postcopy_block *at);

/* fault_thread.c */
int fault_thread_start(struct postcopy_ram *ram, struct ferry_error *err);
void fault_thread_stop(struct postcopy_ram *ram);

/* Ask for a host page unless that was done; returns what `request` returned. */
int fault_request(struct postcopy_ram *ram, struct postcopy_block *at, uint64_t page);

#endif
