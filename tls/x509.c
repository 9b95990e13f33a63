/* SPDX-License-Identifier: BSD-3-Clause */
/* x509.c - certificates of a folder, loaded and checked before anybody relies on them
 *
 * What the other end would find wrong with our certificate, we find first, and can say in which file.
 */
#include "x509.h"

#include "judge.h"
#include "names.h"
#include "pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

static int bad_file(const char *path, const char *what, struct ferry_error *err)
{
    return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: %s", path, what);
}

/* *path: NULL where there is none and it is not needed. */
static int find(const struct tls_credentials *creds, const char *folder, enum names_what what, bool needed, char **path,
                struct ferry_error *err)
{
    const char *missing;

    *path = names_find(folder, creds->side, what, &missing);
    if (*path || (missing && !needed))
        return 0;
    if (!missing)
        return ferry_error_set(err, -ENOMEM, "%s: no memory for its files' names", folder);
    if (access(folder, F_OK) < 0)
        return names_file_error(folder, errno, err);
    return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -ENOENT, "%s: there is no %s", folder, missing);
}

static int load_authority(struct tls_credentials *creds, const char *folder, struct ferry_error *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(creds->ctx);
    char *path;
    int ret = find(creds, folder, NAMES_CA, creds->verify, &path, err);

    if (ret < 0 || !path)
        return ret;
    if (X509_STORE_load_file(store, path) != 1)
        ret = pem_not_taken(path, "no certificate of an authority", err);
    else if (creds->side == TLS_SERVER)
        SSL_CTX_set_client_CA_list(creds->ctx, SSL_load_client_CA_file(path));
    free(path);
    if (ret == 0)
        ret = find(creds, folder, NAMES_CRL, false, &path, err);
    if (ret < 0 || !path)
        return ret;
    if (X509_STORE_load_file(store, path) != 1 || X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) != 1)
        ret = pem_not_taken(path, "no revocation list", err);
    free(path);
    return ret;
}

struct own_verdict {
    const char *path;
    struct ferry_error *err;
    bool told;
};

static void keep_first(void *opaque, X509 *who, int error, const char *text)
{
    struct own_verdict *verdict = opaque;

    if (!verdict->told)
        bad_file(verdict->path, text, verdict->err);
    verdict->told = true;
}

/* Would the other end believe it? */
static int check_own(struct tls_credentials *creds, const char *path, struct ferry_error *err)
{
    struct own_verdict verdict = { .path = path, .err = err };
    STACK_OF(X509) *chain = NULL;
    int ret;

    SSL_CTX_get0_chain_certs(creds->ctx, &chain);
    ret = judge_certificate(SSL_CTX_get_cert_store(creds->ctx), SSL_CTX_get0_certificate(creds->ctx), chain,
                            creds->side, keep_first, &verdict);
    if (ret < 0)
        return ferry_error_set(err, ret, "%s: no memory to check it", path);
    return verdict.told ? -EINVAL : 0;
}

static int load_own(struct tls_credentials *creds, const char *cert, const char *key, struct ferry_error *err)
{
    if (SSL_CTX_use_certificate_chain_file(creds->ctx, cert) != 1)
        return pem_not_taken(cert, "no certificate", err);
    if (SSL_CTX_use_PrivateKey_file(creds->ctx, key, SSL_FILETYPE_PEM) != 1) {
        if (ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH)
            return bad_file(key, "the key does not fit the certificate", err);
        return pem_not_taken(key, "no private key, or one that needs a password", err);
    }
    if (SSL_CTX_check_private_key(creds->ctx) != 1)
        return bad_file(key, "the key does not fit the certificate", err);
    creds->has_certificate = true;
    /* Without an authority here, nobody but the other end can judge it. */
    return creds->verify ? check_own(creds, cert, err) : 0;
}

int x509_load(struct tls_credentials *creds, const char *folder, struct ferry_error *err)
{
    bool needed = creds->side == TLS_SERVER;
    char *cert = NULL, *key = NULL;
    int ret;

    SSL_CTX_set_default_passwd_cb(creds->ctx, pem_no_password);
    ret = load_authority(creds, folder, err);
    if (ret == 0)
        ret = find(creds, folder, NAMES_CERT, needed, &cert, err);
    if (ret == 0)
        ret = find(creds, folder, NAMES_KEY, needed || cert, &key, err);
    if (ret == 0 && key && !cert)
        ret = bad_file(key, "there is a key, but no certificate for it", err);
    if (ret == 0 && cert)
        ret = load_own(creds, cert, key, err);
    free(cert);
    free(key);
    ERR_clear_error();
    return ret;
}
