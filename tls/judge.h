/* SPDX-License-Identifier: BSD-3-Clause */
/* judge.h - what the other end would find wrong with a certificate of ours */
#ifndef TLS_JUDGE_H
#define TLS_JUDGE_H

#include "credentials.h"

#include <openssl/x509v3.h>

#define JUDGE_LEVEL      2 /* 112 bits: RSA from 2048, EC from 224, no SHA-1; what OpenSSL asks of others by default */
#define JUDGE_HOST_FLAGS X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS

/**
 * One thing that is wrong.
 * @who: the certificate that it is about: the one that is judged, or one above it
 * @error: X509_V_ERR_*
 * @text: "the certificate has expired"
 */
typedef void judge_found(void *opaque, X509 *who, int error, const char *text);

/**
 * judge_certificate() - purpose, dates, strength, and whether an authority of @store has signed it
 * @chain: what is sent along with it, or NULL
 * @side: whose certificate it is
 *
 * Everything that is wrong is told, each once.  Whether it was revoked is not looked at: the list may be missing for
 * our own authority.  Returns how much was told, or -ENOMEM.
 */
int judge_certificate(X509_STORE *store, X509 *cert, STACK_OF(X509) * chain, enum tls_side side, judge_found *found,
                      void *opaque);

/* Is it for this name or address, as a handshake would find? */
bool judge_host(X509 *cert, const char *host);

#endif
