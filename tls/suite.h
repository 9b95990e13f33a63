/* SPDX-License-Identifier: BSD-3-Clause */
/* suite.h - the ciphers that are used, their names everywhere, and which of them is fast here */
#ifndef TLS_SUITE_H
#define TLS_SUITE_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

#define SUITE_COUNT     3
#define SUITE_KEY_MAX   32
#define SUITE_NONCE     12
#define SUITE_TAG       16
#define SUITE_LIST_SIZE 512

/* All are AEAD with a nonce of 12 and a tag of 16 bytes. */
struct suite {
    const char *name;       /* "aes-256-gcm" */
    const char *evp;        /* as OpenSSL calls the cipher */
    const char *tls13;      /* as OpenSSL calls the suite of TLS 1.3 */
    const char *x509_tls12; /* and those of TLS 1.2, all with forward secrecy */
    const char *psk_tls12;
    size_t key_bytes;
    uint64_t bear_records; /* that one key may seal, far below RFC 8446, 5.5; 0: any number */
    bool explicit_nonce;   /* TLS 1.2: 8 bytes of the nonce travel in each record */
    bool sha384;           /* TLS 1.3: the hash of the suite; else SHA-256 */
};

/* The order of preference, all SUITE_COUNT or fewer, ended by NULL. */
struct suite_order {
    const struct suite *suites[SUITE_COUNT + 1];
};

/* By the name of OpenSSL's cipher ("AES-128-GCM"), in any case; NULL: not one of ours. */
const struct suite *suite_of_evp(const char *evp);

/* What @text lists ("aes-256-gcm:chacha20-poly1305", names of TLS 1.3 as well). */
int suite_parse(const char *text, struct suite_order *order, struct ferry_error *err);

/* All, the fastest first.  Measures for about a millisecond; what is nearly alike stays in the usual order. */
void suite_measure(struct suite_order *order);

/* Drop the suites of TLS 1.3 that a key of the file, which is bound to SHA-256, cannot be used with. */
void suite_keep_sha256(struct suite_order *order);

/* OpenSSL's lists. */
enum suite_kind { SUITE_TLS13, SUITE_X509_TLS12, SUITE_PSK_TLS12 };
void suite_list(const struct suite_order *order, enum suite_kind kind, char to[SUITE_LIST_SIZE]);

#endif
