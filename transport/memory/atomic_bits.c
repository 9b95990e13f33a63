/* SPDX-License-Identifier: BSD-3-Clause */
/* atomic_bits.c - ranges in an array of 64-bit words that several threads change */
#include "atomic_bits.h"

#include "bits.h"

bool atomic_bits_test(const atomic_word *words, uint64_t bit)
{
    return atomic_load(&words[bit / 64]) >> (bit % 64) & 1;
}

uint64_t atomic_bits_set(atomic_word *words, uint64_t first, uint64_t count)
{
    uint64_t end = first + count, became = 0;

    while (first < end) {
        atomic_word *word = &words[first / 64];
        uint64_t mask = bits_mask(&first, end);

        became += (uint64_t)__builtin_popcountll(mask & ~atomic_fetch_or(word, mask));
    }
    return became;
}

uint64_t atomic_bits_clear(atomic_word *words, uint64_t first, uint64_t count)
{
    uint64_t end = first + count, became = 0;

    while (first < end) {
        atomic_word *word = &words[first / 64];
        uint64_t mask = bits_mask(&first, end);

        became += (uint64_t)__builtin_popcountll(mask & atomic_fetch_and(word, ~mask));
    }
    return became;
}

uint64_t atomic_bits_run(const atomic_word *words, uint64_t first, uint64_t count, bool value)
{
    uint64_t at = first, end = first + count;

    while (at < end) {
        uint64_t start = at;
        const atomic_word *word = &words[at / 64];
        uint64_t mask = bits_mask(&at, end);
        uint64_t other = (value ? ~atomic_load(word) : atomic_load(word)) & mask;

        if (other)
            return start - start % 64 + (unsigned)__builtin_ctzll(other) - first;
    }
    return count;
}

uint64_t atomic_bits_take(atomic_word *words, uint64_t first, uint64_t count)
{
    uint64_t at = first, end = first + atomic_bits_run(words, first, count, false);

    while (at < end) {
        uint64_t start = at;
        atomic_word *word = &words[at / 64];
        uint64_t mask = bits_mask(&at, end);
        uint64_t lost = mask & atomic_fetch_or(word, mask);

        if (lost) {
            /* Another thread was here: what lies before its first bit is ours, what lies behind goes back. */
            unsigned bit = (unsigned)__builtin_ctzll(lost);

            atomic_fetch_and(word, ~(mask & ~lost & (UINT64_MAX << bit)));
            return start - start % 64 + bit - first;
        }
    }
    return end - first;
}
