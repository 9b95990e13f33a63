/* SPDX-License-Identifier: BSD-3-Clause */
/* bits.h - ranges in an array of 64-bit words: bit i is bit i % 64 of word i / 64 */
#ifndef MEMORY_BITS_H
#define MEMORY_BITS_H

#include <stddef.h>
#include <stdint.h>

/* How many words hold @bits bits. */
size_t bits_words(uint64_t bits);

/**
 * bits_mask() - what a range covers of one word
 *
 * The bits from *at up to @end that lie in the same word as *at; moves *at behind them.  So a range is walked by
 * `while (at < end) { word = &words[at / 64]; mask = bits_mask(&at, end); ... }`.
 */
uint64_t bits_mask(uint64_t *at, uint64_t end);

/* Set @count bits from @first on; returns how many of them were clear. */
uint64_t bits_set_range(uint64_t *words, uint64_t first, uint64_t count);

/* In that range, set those bits of @to that are set in @from. */
void bits_or_range(uint64_t *to, const uint64_t *from, uint64_t first, uint64_t count);

#endif
