/* SPDX-License-Identifier: BSD-3-Clause */
/* credentials.h - who we are and whom we believe: certificates from a folder, or keys from a file
 *
 * x509: a folder with the names that QEMU uses, or those of libvirt (which of them was found is said in messages):
 *
 *      ca-cert.pem  ca-crl.pem  server-cert.pem  server-key.pem  client-cert.pem  client-key.pem
 *      cacert.pem   cacrl.pem   servercert.pem   serverkey.pem   clientcert.pem   clientkey.pem
 *
 * (of libvirt also below CA/, libvirt/ and private/, so that /etc/pki will do).  PSK: lines `identity:hex` as QEMU's
 * keys.psk has them.  A client may be without a certificate; then a server that verifies refuses it.
 *
 * Without verification of names and chains TLS keeps out nobody who can sit in between: off only where asked for.
 */
#ifndef TLS_CREDENTIALS_H
#define TLS_CREDENTIALS_H

#include <ferry/error.h>
#include <stdint.h>

#define TLS_PSK_IDENTITY "qemu" /* what a client calls itself unless told otherwise */

/* The source of a migration is the client, its destination the server, on every connection. */
enum tls_side {
    TLS_CLIENT,
    TLS_SERVER,
};

enum tls_least {
    TLS_LEAST_1_3 = 0,
    TLS_LEAST_1_2,
};

/* All texts are borrowed for the call. */
struct tls_terms {
    enum tls_side side;
    const char *folder;    /* x509; NULL: PSK */
    const char *psk;       /* a file of keys, or a folder with keys.psk in it; NULL: x509 */
    const char *identity;  /* PSK, client: which key; NULL: TLS_PSK_IDENTITY */
    bool no_verify;        /* x509: believe whoever answers; a server then asks for no certificate */
    const char *hostname;  /* x509, client: the name to find in the certificate; NULL: that of the address */
    const char *authorise; /* patterns separated by ';', one of which the peer must match (authorise.h); NULL: all */
    enum tls_least least;  /* the oldest version that is taken */
    const char *ciphers;   /* separated by ':', the best first: aes-128-gcm, aes-256-gcm, chacha20-poly1305; NULL: what
                              this processor does fastest */
    uint64_t update_bytes; /* TLS 1.3: new keys after so many bytes of one direction; 0: well before AES-GCM's bound */
};

struct tls_credentials;

/**
 * tls_credentials_new() - read and check all files
 *
 * Returns the credentials with one reference; or NULL, and the sentence names the file and what is wrong with it:
 * missing, not PEM, expired, not valid yet, not signed by the CA, for another purpose, a key that does not fit.
 * Thread, for all here: any.
 */
struct tls_credentials *tls_credentials_new(const struct tls_terms *terms, struct ferry_error *err);

struct tls_credentials *tls_credentials_ref(struct tls_credentials *creds);

/* NULL is legal. */
void tls_credentials_unref(struct tls_credentials *creds);

#endif
