/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_handshake.h - OpenSSL shakes hands over a channel, and hands over what the records need
 *
 * The traffic secrets come from OpenSSL's key log, which is made for this: it calls with each secret as it is made.
 */
#ifndef TLS_HANDSHAKE_H
#define TLS_HANDSHAKE_H

#include "credential_parts.h"
#include "record.h"
#include "tls_channel.h"

/* What was read from the inner channel and not used yet. */
struct tls_input {
    uint8_t *data;
    size_t start, end, room;
};

struct tls_agreed {
    struct record_secret sends, receives;
    enum tls_proof proof;
    char peer[128];
    struct binding *binding; /* TLS 1.3: of this connection, or of the main one where that proved it; one reference */
};

/* For an SSL_CTX whose credentials are set but for these. */
void tls_handshake_prepare(struct tls_credentials *creds);

/* Blocks in @inner.  What came behind the handshake is left in @input.  Secrets are the caller's to cleanse. */
int tls_handshake(struct ferry_channel *inner, struct tls_credentials *creds, const char *host, struct tls_input *input,
                  struct tls_agreed *agreed, struct ferry_error *err);

#endif
