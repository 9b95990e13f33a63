/* SPDX-License-Identifier: BSD-3-Clause */
/* page_auto.h - the ways that a batch can go, and which one it goes: compress/auto.h with its encoders and its clock
 *
 *      page_auto_choose --> encoder_encode --> page_auto_encoded --> write --> page_auto_written
 *
 * One per page channel; belongs to its thread.
 */
#ifndef PAGES_PAGE_AUTO_H
#define PAGES_PAGE_AUTO_H

#include "codec.h"

struct page_auto;

/* @terms: framing and sizes; @channels: how many do the same at the same time. */
struct page_auto *page_auto_new(const struct codec_terms *terms, unsigned channels, struct ferry_error *err);

/* NULL is legal. */
void page_auto_free(struct page_auto *choice);

/* What remembers the pages that were sent; never NULL. */
struct encoder *page_auto_deltas(const struct page_auto *choice);

/* The most that a payload can take, whichever way. */
size_t page_auto_bound(const struct page_auto *choice);

/* The encoder of the next batch and its codec; NULL: as they are.  @first: of these pages nothing was sent before.  A
 * batch of more pages than the terms' goes as it is, whatever were best. */
struct encoder *page_auto_choose(struct page_auto *choice, const struct codec_pages *pages, bool first,
                                 enum codec_id *codec);

/* The last batch went as it is because that is best: the next one may have more pages than the terms say. */
bool page_auto_goes_raw(const struct page_auto *choice);

/* The batch was encoded by that encoder: into so many bytes, or 0 where it does not pay.  Deltas may be learnt from it;
 * then true: it is known what the other end has. */
bool page_auto_encoded(struct page_auto *choice, const struct codec_pages *pages, size_t payload_bytes);

/* So much was written in @write_ns; nothing of it: the time since then had nothing to send. */
void page_auto_written(struct page_auto *choice, size_t bytes, int64_t write_ns);

#endif
