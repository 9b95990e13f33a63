/* SPDX-License-Identifier: BSD-3-Clause */
/* atomic_bits.h - ranges in an array of 64-bit words that several threads change: bits.h, atomically
 *
 * Each word changes at once, a range over several words does not.  All is sequentially consistent.
 */
#ifndef MEMORY_ATOMIC_BITS_H
#define MEMORY_ATOMIC_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic(uint64_t) atomic_word;

bool atomic_bits_test(const atomic_word *words, uint64_t bit);

/* Set, or clear, @count bits from @first on; returns how many of them were not so before. */
uint64_t atomic_bits_set(atomic_word *words, uint64_t first, uint64_t count);
uint64_t atomic_bits_clear(atomic_word *words, uint64_t first, uint64_t count);

/* How many of the @count bits from @first on have @value without a gap: 0 if the first has not. */
uint64_t atomic_bits_run(const atomic_word *words, uint64_t first, uint64_t count, bool value);

/* Set clear bits from @first on, at most @count, up to the first that is set or that another thread sets meanwhile.
 * Returns how many: those were set by this call and by nobody else. */
uint64_t atomic_bits_take(atomic_word *words, uint64_t first, uint64_t count);

#endif
