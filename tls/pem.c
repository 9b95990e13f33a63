/* SPDX-License-Identifier: BSD-3-Clause */
/* pem.c - files of certificates, keys and revocation lists, read and written */
#include "pem.h"

#include "names.h"
#include "verdict.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

#define CERTIFICATES_MAX 100

int pem_not_taken(const char *path, const char *what, struct ferry_error *err)
{
    char why[VERDICT_BYTES];

    if (access(path, R_OK) < 0)
        return names_file_error(path, errno, err);
    verdict_library(why, sizeof(why));
    return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: %s (%s)", path, what, why);
}

int pem_no_password(char *to, int room, int writing, void *opaque)
{
    (void)to;
    (void)room;
    (void)writing;
    (void)opaque;
    return -1;
}

int pem_read_certificates(const char *path, STACK_OF(X509) * *certs, struct ferry_error *err)
{
    BIO *file;
    X509 *cert = NULL;
    int ret = 0;

    ERR_clear_error();
    file = BIO_new_file(path, "r");
    *certs = sk_X509_new_null();
    while (file && *certs && sk_X509_num(*certs) < CERTIFICATES_MAX) {
        cert = PEM_read_bio_X509(file, NULL, pem_no_password, NULL);
        if (!cert || sk_X509_push(*certs, cert) <= 0)
            break;
    }
    /* What ends it must be the end of the file. */
    if (sk_X509_num(*certs) <= 0 || cert || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        ret = pem_not_taken(path, "no certificate", err);
        sk_X509_pop_free(*certs, X509_free);
        *certs = NULL;
    }
    BIO_free(file);
    ERR_clear_error();
    return ret;
}

int pem_read_key(const char *path, EVP_PKEY **key, struct ferry_error *err)
{
    BIO *file;
    int ret = 0;

    ERR_clear_error();
    file = BIO_new_file(path, "r");
    *key = file ? PEM_read_bio_PrivateKey(file, NULL, pem_no_password, NULL) : NULL;
    if (!*key)
        ret = pem_not_taken(path, "no private key, or one that needs a password", err);
    BIO_free(file);
    return ret;
}

int pem_read_list(const char *path, X509_CRL **list, struct ferry_error *err)
{
    BIO *file;
    int ret = 0;

    ERR_clear_error();
    file = BIO_new_file(path, "r");
    *list = file ? PEM_read_bio_X509_CRL(file, NULL, pem_no_password, NULL) : NULL;
    if (!*list)
        ret = pem_not_taken(path, "no revocation list", err);
    BIO_free(file);
    return ret;
}

BIO *pem_of_certificate(X509 *cert)
{
    BIO *text = BIO_new(BIO_s_mem());

    if (text && PEM_write_bio_X509(text, cert) == 1)
        return text;
    BIO_free(text);
    return NULL;
}

BIO *pem_of_key(EVP_PKEY *key)
{
    BIO *text = BIO_new(BIO_s_secmem());

    if (text && PEM_write_bio_PKCS8PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1)
        return text;
    BIO_free(text);
    return NULL;
}
