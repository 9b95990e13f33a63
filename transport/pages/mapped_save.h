/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_save.h - guest memory to its fixed places in a file, by many threads
 *
 *      walk --> batch --> zero? bit off                             thread 0
 *           \            \-> bit on, run of pages --> file queue
 *           \-> batch ...                                           thread 1 ...
 *
 *      session's thread:   put_blocks --> begin, wait (a round) --> ... --> seal: the bitmaps
 *
 * A page that the guest wrote again is written over itself in the next round.  A zero page is never written; memory
 * that was never touched is not even looked at.  All functions belong to the session's thread.
 */
#ifndef PAGES_MAPPED_SAVE_H
#define PAGES_MAPPED_SAVE_H

#include "page_walk.h"
#include "ratelimit.h"

#include <ferry/stream.h>

struct mapped_terms {
    unsigned threads;
    bool ring;               /* io_uring, where it helps and the system has it */
    bool sums;               /* save: a checksum for each page, too, in a file that QEMU does not read */
    struct ratelimit *limit; /* save: borrowed; NULL: none */
};

struct mapped_figures {
    uint64_t bytes;  /* written or read at fixed places */
    uint64_t jumped; /* load: of the stream's own, which goes on behind these places */
    uint64_t content_pages, zero_pages;
    unsigned threads;
    const char *manner; /* see file_queue_manner() */
};

struct mapped_saver;

/* @chan: over a file; a reference is taken.  @walk: borrowed.  NULL with @err set. */
struct mapped_saver *mapped_saver_new(struct page_walk *walk, struct ferry_channel *chan,
                                      const struct mapped_terms *terms, struct ferry_error *err);

/* The block list of the START section, each block's header with it; the writer then stands behind the last block's
 * pages.  EOS is not put. */
int mapped_saver_put_blocks(struct mapped_saver *saver, struct ferry_writer *writer, struct ferry_error *err);

/* Let the threads take from the walk until it is empty. */
void mapped_saver_begin(struct mapped_saver *saver);

/* 0: the walk is empty and every page stands in the file; -ETIMEDOUT: not yet; or the first error of any thread. */
int mapped_saver_wait(struct mapped_saver *saver, int64_t timeout_ns, struct ferry_error *err);

/* The guest stands still and the last page is written: now the bitmaps. */
int mapped_saver_seal(struct mapped_saver *saver, struct ferry_error *err);

void mapped_saver_figures(struct mapped_saver *saver, struct mapped_figures *figures);

/* NULL is legal. */
void mapped_saver_free(struct mapped_saver *saver);

#endif
