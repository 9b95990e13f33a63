/* SPDX-License-Identifier: BSD-3-Clause */
/* x509.h - certificates of a folder, loaded and checked before anybody relies on them */
#ifndef TLS_X509_H
#define TLS_X509_H

#include "credential_parts.h"

/* Into creds->ctx, whose side, kind and verify are set.  Sets has_certificate. */
int x509_load(struct tls_credentials *creds, const char *folder, struct ferry_error *err);

#endif
