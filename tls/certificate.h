/* SPDX-License-Identifier: BSD-3-Clause */
/* certificate.h - certificates, made in memory
 *
 *      authority   CA:TRUE, path length 0, signs certificates and revocation lists
 *      server      serverAuth, digitalSignature, its hosts as DNS names and addresses
 *      client      clientAuth, digitalSignature, its name
 *
 * Key usage is not critical in the last two: older QEMU refuses a critical one without keyEncipherment, which RFC 8813
 * forbids for keys of this kind.
 */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include "credentials.h"

#include <openssl/x509.h>

#define CERTIFICATE_NAME_MAX 64  /* of a subject, RFC 5280 */
#define CERTIFICATE_HOST_MAX 253 /* of a host */

struct certificate {
    X509 *cert;
    EVP_PKEY *key;
};

/* Returns whether @host can stand for a host: an address, or a name, perhaps with a * in front. */
bool certificate_is_host(const char *host);

/* All make a new key of EC P-256 and a random serial number; false: OpenSSL failed. */

bool certificate_authority(struct certificate *made, unsigned days);

/* @names: hosts, all of which certificate_is_host().  @subject is cut to what a subject may hold. */
bool certificate_issue(struct certificate *made, const struct certificate *authority, enum tls_side side,
                       const char *subject, const char *const *names, unsigned name_count, unsigned days);

/* A zeroed one is legal. */
void certificate_clear(struct certificate *certificate);

#endif
