/* SPDX-License-Identifier: BSD-3-Clause */
/* words.h - the vocabulary of pages that look like text */
#ifndef BENCH_WORDS_H
#define BENCH_WORDS_H

#include <stdint.h>

#define WORDS_COUNT 256
#define WORD_ROOM   16

struct word {
    char text[WORD_ROOM - 1]; /* with a space behind it; no NUL needed */
    uint8_t bytes;            /* the space included */
};

/* Common ones first. */
extern const struct word words[WORDS_COUNT];

#endif
