/* SPDX-License-Identifier: BSD-3-Clause */
/* credential_parts.h - what credentials consist of, for the files that make and use them */
#ifndef TLS_CREDENTIAL_PARTS_H
#define TLS_CREDENTIAL_PARTS_H

#include "binding.h"
#include "credentials.h"
#include "psk.h"

enum credential_kind {
    CREDENTIAL_X509,
    CREDENTIAL_PSK,
    CREDENTIAL_SESSION,
};

/* Fixed once made, but for the table. */
struct tls_credentials {
    atomic_uint refs;
    enum tls_side side;
    enum credential_kind kind;
    SSL_CTX *ctx;          /* shared with those of tls_channel_bound() */
    bool verify;           /* x509 */
    bool has_certificate;  /* x509 */
    char *hostname;        /* or NULL */
    char *authorise;       /* or NULL */
    uint64_t update_bytes; /* 0: what the cipher bears */
    enum tls_least least;
    struct suite_order order;
    struct psk_file psk;        /* CREDENTIAL_PSK */
    char *identity;             /* CREDENTIAL_PSK, client: which key */
    struct binding *bound;      /* CREDENTIAL_SESSION */
    struct binding_table table; /* server: of the main connections that are open */
};

/* Client credentials of kind CREDENTIAL_SESSION.  NULL: no memory. */
struct tls_credentials *credentials_bound(struct tls_credentials *main, struct binding *binding);

#endif
