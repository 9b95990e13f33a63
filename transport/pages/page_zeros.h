/* SPDX-License-Identifier: BSD-3-Clause */
/* page_zeros.h - zero pages that no packet may hold: they travel in the main stream
 *
 *      threads of the page channels   page_zeros_add()  --> a bit per page --> page_zeros_put()   migration thread
 *
 * QEMU up to 8.2 knows no zero pages in its packets.  A page is in nobody's hands but one thread's within a round, and
 * the round's sync stands behind both the packets and these records: so it does not matter which of them come first.
 */
#ifndef PAGES_PAGE_ZEROS_H
#define PAGES_PAGE_ZEROS_H

#include "batch.h"

#include <ferry/stream.h>

struct page_zeros;

/* None so far.  @map: borrowed.  NULL when out of memory. */
struct page_zeros *page_zeros_new(const struct ram_map *map);

/* NULL is legal. */
void page_zeros_free(struct page_zeros *zeros);

/* Take the zero pages of @batch out of it.  Returns how many they were.  Thread: any. */
unsigned page_zeros_add(struct page_zeros *zeros, struct page_batch *batch);

/* A record for each, and there are none any more.  @last: see ram_put_batch().  While nobody adds any. */
void page_zeros_put(struct page_zeros *zeros, struct ferry_writer *writer, const struct ram_block **last);

#endif
