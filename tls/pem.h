/* SPDX-License-Identifier: BSD-3-Clause */
/* pem.h - files of certificates, keys and revocation lists, read and written */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <ferry/error.h>
#include <openssl/x509.h>

/* All that read: on failure the sentence names the file and says why.  What they return is the caller's. */

/* At least one, the first of which is what the file is about; the others are its chain. */
int pem_read_certificates(const char *path, STACK_OF(X509) * *certs, struct ferry_error *err);
int pem_read_key(const char *path, EVP_PKEY **key, struct ferry_error *err);
int pem_read_list(const char *path, X509_CRL **list, struct ferry_error *err);

/* OpenSSL could not take @path: it is not readable, or @what and why not in OpenSSL's words.  -errno. */
int pem_not_taken(const char *path, const char *what, struct ferry_error *err);

/* A pem_password_cb: a key with a password is of no use to a program that runs by itself; never ask at a terminal. */
int pem_no_password(char *to, int room, int writing, void *opaque);

/* As text in memory that is wiped when it is freed; NULL: no memory. */
BIO *pem_of_certificate(X509 *cert);
BIO *pem_of_key(EVP_PKEY *key);

#endif
