/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_key.h - a key for rows with tls=on: made at one end, told to the other, gone with both */
#ifndef TOOLS_BENCH_KEY_H
#define TOOLS_BENCH_KEY_H

#include <ferry/error.h>

#define BENCH_KEY_BYTES 512

struct bench_key {
    char folder[64]; /* empty: there is none */
    char path[96];
};

/* A new one.  Its text, for the other end, is put into @text. */
int bench_key_make(struct bench_key *key, char text[BENCH_KEY_BYTES], struct ferry_error *err);

/* The other end's. */
int bench_key_take(struct bench_key *key, const char *text, struct ferry_error *err);

/* Removes it.  A zeroed one is legal. */
void bench_key_remove(struct bench_key *key);

#endif
