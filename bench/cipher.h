/* SPDX-License-Identifier: BSD-3-Clause */
/* cipher.h - keys for a benchmark, and OpenSSL's ciphers by themselves: no records, no handshake, no channel */
#ifndef BENCH_CIPHER_H
#define BENCH_CIPHER_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

#define CIPHER_COUNT        3
#define CIPHER_PIECE_BYTES  16384 /* as much as a record of TLS carries */
#define CIPHER_SEALED_BYTES (CIPHER_PIECE_BYTES + 16)

/* As `ciphers` of tls_terms has them. */
extern const char *const cipher_names[CIPHER_COUNT];

/* A folder in the system's place for temporary files, with certificates for both sides. */
int cipher_keys_make(char folder[64], struct ferry_error *err);
void cipher_keys_remove(const char *folder);

/* One direction, with a key that everybody knows. */
struct cipher_half;
struct cipher_half *cipher_half_new(const char *name, bool seals, struct ferry_error *err);
void cipher_half_free(struct cipher_half *half);

/* The next piece; sealed it has its tag behind it.  False: OpenSSL failed, or it was not authentic. */
bool cipher_half_work(struct cipher_half *half, const uint8_t *from, uint8_t *to);

/* Out of memory (seals) or into memory (opens), on one processor: bytes per second. */
int cipher_speed(const char *name, bool seals, double *rate, struct ferry_error *err);

#endif
