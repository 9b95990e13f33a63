/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_parts.h - what the two formats of packets share */
#ifndef PAGES_PACKET_PARTS_H
#define PAGES_PACKET_PARTS_H

#include "packet.h"

/* All but the arrays, of which the counts say how much is valid. */
void packet_reset(struct packet *packet, enum packet_kind kind);

/* Runs for these pages behind those that are there.  There is room: all pages together are BATCH_PAGES_MAX at most. */
void packet_add_pages(struct packet *packet, const uint64_t *pages, unsigned count);

/* No page occurs twice.  Decided in one pass; false also where one of the two parts does not ascend. */
bool packet_ascends(const struct packet *packet);

/* The same for runs in any order. */
bool packet_runs_apart(const struct packet *packet);

/* The ways to sum, of which the best that there is serves packet_sum(); one by one for tests.  SUM_ISAL is SUM_WORDS
 * where ISA-L is not there, and that is SUM_PLAIN where the processor has no instruction. */
enum packet_sum_way { SUM_ISAL, SUM_WORDS, SUM_PLAIN };
uint32_t packet_sum_by(enum packet_sum_way way, uint32_t sum, const void *data, size_t bytes);

/* The checksum of what @sum covers with these bytes behind it. */
uint32_t packet_sum_more(uint32_t sum, const void *data, size_t bytes);

#endif
