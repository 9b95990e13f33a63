/* SPDX-License-Identifier: BSD-3-Clause */
/* authorise.h - which of those who can prove who they are may come in
 *
 * Patterns separated by ';', where * and ? stand for anything.  One must match:
 *
 *      CN=*.example.com,O=Ferry    with '=': the whole subject, as RFC 4514 writes it (and QEMU's tls-authz)
 *      *.example.com               else: the subject's common name, or a DNS name, address, URI or mail address of it
 *      DNS:*.example.com           or one of these by its kind: DNS, IP, URI, EMAIL
 *      qemu                        a PSK identity
 */
#ifndef TLS_AUTHORISE_H
#define TLS_AUTHORISE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

bool authorise_certificate(const char *patterns, X509 *certificate);
bool authorise_identity(const char *patterns, const char *identity);

/* "CN=host,O=Ferry", cut to fit. */
void authorise_subject(X509 *certificate, char *to, size_t room);

/* What it is for: "DNS:host, IP:192.0.2.7", cut to fit; the common name where there is nothing else. */
void authorise_names(X509 *certificate, char *to, size_t room);

#endif
