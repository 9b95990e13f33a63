/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake_run.h - one handshake while it lasts: what its callbacks noted, and why it failed */
#ifndef TLS_HANDSHAKE_RUN_H
#define TLS_HANDSHAKE_RUN_H

#include "channel.h"
#include "tls_handshake.h"
#include "verdict.h"

struct handshake_run {
    struct ferry_channel *inner;
    struct tls_credentials *creds;
    struct tls_input *input;
    struct ferry_error io;                 /* errnum 0: the inner channel works */
    bool ended;                            /* ... but has come to its end */
    bool looked;                           /* at the first bytes */
    const char *plain;                     /* what they were instead of TLS */
    char refused[VERDICT_BYTES];           /* what we found wrong with the other end; empty: nothing */
    int offered;                           /* server: the newest version that the client offers; 0: not heard */
    char identity[128];                    /* server: of the PSK that was found */
    struct binding *binding;               /* server: found by its name */
    uint8_t secrets[2][RECORD_SECRET_MAX]; /* of client and server, TLS 1.3 */
    size_t secret_bytes;
};

struct handshake_run *handshake_run_of(const SSL *ssl);

/* What OpenSSL said no to, in our words; and what we say no to ourselves.  Return a negative errno. */
int handshake_explain(struct handshake_run *run, SSL *ssl, struct ferry_error *err);
int handshake_fail(struct handshake_run *run, enum ferry_code code, struct ferry_error *err, const char *text,
                   const char *more);

#endif
