/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_ram.h - the guest's memory as it comes: counted, and kept where it is wanted */
#ifndef TOOLS_INSPECT_RAM_H
#define TOOLS_INSPECT_RAM_H

#include "packet.h"
#include "ram_section.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct inspect_ram_block {
    struct ram_block block; /* first; its name and memory are owned */
    uint64_t normal, zero;  /* records */
    uint64_t missing;       /* pages that never came */
    uint64_t *seen;         /* owned; one bit a page; NULL: not counted */
};

struct inspect_ram {
    struct placer placer; /* first */
    struct ram_loader loader;
    pthread_mutex_t lock;  /* a leaf; guards what the blocks count, and their memory where page channels write it */
    uint64_t normal, zero; /* pages that came over page channels */
    int (*mark)(void *opaque, struct ferry_error *err); /* a mark in the main stream; NULL: means nothing */
    void *opaque;
    struct placer *direct; /* owned; NULL: nothing is kept */
    struct ram_map map;    /* what `direct` works on: always empty */
    uint64_t max_bytes;    /* of all blocks together, where they are kept */
    uint64_t total_bytes;
    struct inspect_ram_block **blocks; /* owned; in the stream's order */
    unsigned count;
    unsigned passes;     /* how often the pages began anew from a lower place */
    unsigned last_block; /* where the last page was */
    uint64_t last_page;
    uint8_t *scratch;             /* owned; a page that is forgotten */
    struct mapped_loader *mapped; /* owned; NULL: pages come as records */
    bool mapped_loaded;
};

/* @keep: whether the content is wanted afterwards, for inspect_ram_save(). */
int inspect_ram_init(struct inspect_ram *ram, bool keep, uint64_t max_bytes, struct ferry_error *err);
void inspect_ram_clear(struct inspect_ram *ram);

/**
 * inspect_ram_put() - pages that came over a page channel
 * @data: their content; NULL: they are zero
 *
 * Thread: any.
 */
int inspect_ram_put(struct inspect_ram *ram, const struct ram_block *block, const struct packet_run *run,
                    const uint8_t *data, struct ferry_error *err);

/* After the last page: which pages never came. */
void inspect_ram_count_missing(struct inspect_ram *ram);

/* The block of that name, the largest for NULL; NULL where there is none. */
const struct inspect_ram_block *inspect_ram_find(const struct inspect_ram *ram, const char *name);

/* Write a block to an empty file, zero pages as holes.  @fd is borrowed, @path names it in messages. */
int inspect_ram_save(const struct inspect_ram_block *block, int fd, const char *path, struct ferry_error *err);

#endif
