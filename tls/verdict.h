/* SPDX-License-Identifier: BSD-3-Clause */
/* verdict.h - why a certificate, a handshake or a connection was refused, in words */
#ifndef TLS_VERDICT_H
#define TLS_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#define VERDICT_BYTES 320

/* What OpenSSL found wrong with a certificate (X509_V_ERR_*), after "the certificate of X ": "has expired". */
const char *verdict_certificate(int error);

/* What an alert of the other end means, after "the other end ": "does not know who signed our certificate". */
const char *verdict_alert(int alert);

/* The alert that a failed call to OpenSSL was about, received from the other end; -1: none was. */
int verdict_received(unsigned long library_error);

/* What else OpenSSL says failed; NULL: nothing that is better than its own words. */
const char *verdict_handshake(unsigned long library_error);

/* OpenSSL's own words for the oldest error it holds, which is mostly the cause; and forgets them all. */
void verdict_library(char *to, size_t room);

#endif
