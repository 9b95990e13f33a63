/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped_load.h - guest memory from its fixed places in a file, by many threads
 *
 *      START's block list:   mapped_loader_entry() per block: header checked, bitmap read, the stream goes on behind
 *      then:                 begin, wait: run of set bits   --> placer prepare --> file queue --> commit   thread 0 ...
 *                                         run of clear bits --> placer zero
 *
 * Holes are not read.  All functions belong to the session's thread.
 */
#ifndef PAGES_MAPPED_LOAD_H
#define PAGES_MAPPED_LOAD_H

#include "mapped_save.h"
#include "placer.h"

struct mapped_loader;

/* @placer: borrowed.  @chan: over a file; a reference is taken.  NULL with @err set. */
struct mapped_loader *mapped_loader_new(struct placer *placer, struct ferry_channel *chan,
                                        const struct mapped_terms *terms, struct ferry_error *err);

/**
 * mapped_loader_entry() - the header of @block comes next
 *
 * Checked against the size of the file before anything is allocated for it; a bitmap takes as much memory as a 32768th
 * of the block.  Then the reader stands behind the block's pages.  0 or the reader's error.
 */
int mapped_loader_entry(struct mapped_loader *loader, struct ferry_reader *reader, const struct ram_block *block);

/* After the block list: let the threads read all of it; once. */
void mapped_loader_begin(struct mapped_loader *loader);

/* 0: every page is in place; -ETIMEDOUT: not yet; or the first error of any thread. */
int mapped_loader_wait(struct mapped_loader *loader, int64_t timeout_ns, struct ferry_error *err);

void mapped_loader_figures(struct mapped_loader *loader, struct mapped_figures *figures);

/* NULL is legal. */
void mapped_loader_free(struct mapped_loader *loader);

#endif
