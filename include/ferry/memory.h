/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.h - the guest's RAM as the embedder hands it over
 *
 * RAM is a list of named blocks.  A page is 4096 bytes, whatever the memory is backed with; bit i of a bitmap (word
 * i / 64, bit i % 64, host byte order) speaks of page i of its block.
 */
#ifndef FERRY_MEMORY_H
#define FERRY_MEMORY_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

#define FERRY_PAGE_SHIFT 12
#define FERRY_PAGE_BYTES 4096

/* Limits of what any peer may announce. */
#define FERRY_BLOCK_NAME_MAX 255
#define FERRY_BLOCKS_MAX     4096
#define FERRY_RAM_BYTES_MAX  (UINT64_C(64) << 40)

enum ferry_block_flags {
    /* Private anonymous memory of this process: the kernel can tell which pages were never touched, and those are
     * zero.  Leave it out for shared, file-backed or device memory. */
    FERRY_BLOCK_PRIVATE = 1 << 0,
    /* At the destination: every page reads as zero and nothing was written yet, as after mmap(). */
    FERRY_BLOCK_FRESH = 1 << 1,
};

struct ferry_block {
    const char *name;   /* 1 to 255 bytes; the same at both ends */
    void *host;         /* where it lies in this process; page-aligned */
    uint64_t length;    /* bytes; a multiple of the backing page size */
    uint32_t page_size; /* of the backing: 4096, or that of the huge pages */
    unsigned flags;     /* enum ferry_block_flags */
};

/**
 * struct ferry_tracker_ops - a way to learn which pages of a block changed
 *
 * A guest may have several trackers (its CPUs' and its devices'); what any of them reports is sent.  All calls come
 * from the migration thread, one at a time; memory may be written by the guest's threads all the while.
 *
 * @start: begin to watch @block; changes from the return of this call on must be reported
 * @sync: set in @bitmap (one bit per page; never clear) every page changed since @start or the last @sync, and watch
 * on: a write that races with this call is reported by it or by the next one, never lost
 * @stop: end watching; also after a failed @start
 */
struct ferry_tracker_ops {
    const char *name;
    int (*start)(void *opaque, const struct ferry_block *block, struct ferry_error *err);
    int (*sync)(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err);
    void (*stop)(void *opaque, const struct ferry_block *block);
};

FERRY_END_DECLS

#endif
