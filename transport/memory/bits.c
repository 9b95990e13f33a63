/* SPDX-License-Identifier: BSD-3-Clause */
/* bits.c - ranges in an array of 64-bit words */
#include "bits.h"

size_t bits_words(uint64_t bits)
{
    return bits / 64 + (bits % 64 != 0);
}

uint64_t bits_mask(uint64_t *at, uint64_t end)
{
    unsigned shift = *at % 64;
    uint64_t left = end - *at;
    uint64_t count = left < 64 - shift ? left : 64 - shift;

    *at += count;
    return (count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1) << shift;
}

uint64_t bits_set_range(uint64_t *words, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;
    uint64_t became = 0;

    while (first < end) {
        uint64_t *word = &words[first / 64];
        uint64_t mask = bits_mask(&first, end);

        became += (uint64_t)__builtin_popcountll(mask & ~*word);
        *word |= mask;
    }
    return became;
}

void bits_or_range(uint64_t *to, const uint64_t *from, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;

    while (first < end) {
        size_t word = first / 64;

        to[word] |= from[word] & bits_mask(&first, end);
    }
}
