/* SPDX-License-Identifier: BSD-3-Clause */
/* make_keys.c - a file of keys, or an authority with certificates for servers and clients */
#include "make_keys.h"

#include "certificate.h"
#include "pem.h"
#include "psk.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PSK_BYTES 32
#define KEY_MODE  0600
#define CERT_MODE 0644

static int failed(const char *what, struct ferry_error *err)
{
    return ferry_error_set(err, -EIO, "%s could not be made: OpenSSL failed", what);
}

/* --- where files go ----------------------------------------------------------------------------------------------- */

/* Where a file goes: where it is already, under whichever name, or where it is to be. */
static int place(const struct make_terms *terms, enum tls_side side, enum names_what what, char **path,
                 struct ferry_error *err)
{
    const char *missing;

    *path = names_find(terms->folder, side, what, &missing);
    if (*path && !terms->replace) {
        ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EEXIST, "%s: is there already, and stays as it is", *path);
        free(*path);
        *path = NULL;
        return -EEXIST;
    }
    if (!*path && missing)
        *path = names_new(terms->folder, terms->layout, side, what);
    return *path ? 0 : ferry_error_set(err, -ENOMEM, "%s: no memory for its files' names", terms->folder);
}

/* Takes @text. */
static int add_text(const struct make_terms *terms, struct file_set *made, const char *path, mode_t mode, BIO *text,
                    struct ferry_error *err)
{
    char *bytes;
    long count = text ? BIO_get_mem_data(text, &bytes) : 0;
    int ret;

    if (count <= 0)
        ret = failed(path, err);
    else
        ret = file_set_add(made, terms->folder, path, mode, bytes, (size_t)count, err);
    BIO_free(text);
    return ret;
}

static int add_pair(const struct make_terms *terms, struct file_set *made, enum tls_side side, enum names_what cert,
                    enum names_what key, const struct certificate *pair, struct ferry_error *err)
{
    char *cert_path = NULL, *key_path = NULL;
    int ret = place(terms, side, cert, &cert_path, err);

    if (ret == 0)
        ret = place(terms, side, key, &key_path, err);
    if (ret == 0)
        ret = add_text(terms, made, key_path, KEY_MODE, pem_of_key(pair->key), err);
    if (ret == 0)
        ret = add_text(terms, made, cert_path, CERT_MODE, pem_of_certificate(pair->cert), err);
    free(cert_path);
    free(key_path);
    return ret;
}

/* --- the authority ------------------------------------------------------------------------------------------------ */

static int find(const char *folder, enum names_what what, char **path, struct ferry_error *err)
{
    const char *missing;

    *path = names_find(folder, TLS_SERVER, what, &missing);
    if (*path)
        return 0;
    if (!missing)
        return ferry_error_set(err, -ENOMEM, "%s: no memory for its files' names", folder);
    ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -ENOENT, "%s: there is no %s", folder, missing);
    ferry_error_hint(err, "only the folder in which the authority was made has both its certificate and its key");
    return -ENOENT;
}

/* May it sign, does its key fit, and will it be there as long as what it signs? */
static int check_authority(const struct certificate *authority, const char *path, unsigned days,
                           struct ferry_error *err)
{
    int left = 0, seconds = 0;

    if (X509_check_ca(authority->cert) != 1)
        return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: may sign no certificates (no CA)",
                                    path);
    if (X509_check_private_key(authority->cert, authority->key) != 1)
        return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL,
                                    "%s: the key beside it does not fit the certificate", path);
    ASN1_TIME_diff(&left, &seconds, NULL, X509_get0_notAfter(authority->cert));
    if (left < 0 || seconds < 0)
        return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: the certificate has expired", path);
    if ((unsigned)left >= days)
        return 0;
    ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL,
                         "%s: the authority ends in %d days, before a certificate of %u days would", path, left, days);
    ferry_error_hint(err, "make one that ends before, or a new authority for all hosts");
    return -EINVAL;
}

static int load_authority(const char *folder, unsigned days, struct certificate *authority, struct ferry_error *err)
{
    STACK_OF(X509) *certs = NULL;
    char *cert_path = NULL, *key_path = NULL;
    int ret = find(folder, NAMES_CA, &cert_path, err);

    if (ret == 0)
        ret = find(folder, NAMES_CA_KEY, &key_path, err);
    if (ret == 0)
        ret = pem_read_certificates(cert_path, &certs, err);
    if (ret == 0) {
        authority->cert = sk_X509_shift(certs);
        ret = pem_read_key(key_path, &authority->key, err);
    }
    if (ret == 0)
        ret = check_authority(authority, cert_path, days, err);
    sk_X509_pop_free(certs, X509_free);
    free(cert_path);
    free(key_path);
    return ret;
}

/* Is it among those of @folder?  While an authority is replaced there are two. */
static bool knows_authority(const char *folder, X509 *authority)
{
    STACK_OF(X509) *certs = NULL;
    const char *missing;
    char *path = names_find(folder, TLS_SERVER, NAMES_CA, &missing);
    bool known = false;

    if (path && pem_read_certificates(path, &certs, NULL) == 0)
        for (int i = 0; i < sk_X509_num(certs) && !known; i++)
            known = X509_cmp(sk_X509_value(certs, i), authority) == 0;
    sk_X509_pop_free(certs, X509_free);
    free(path);
    return known;
}

/* A folder whose certificates another folder's authority signs has a copy of its certificate, and not of its key. */
static int copy_authority(const struct make_terms *terms, const struct certificate *authority, struct file_set *made,
                          struct ferry_error *err)
{
    char *path = NULL;
    int ret;

    if (knows_authority(terms->folder, authority->cert))
        return 0;
    ret = place(terms, TLS_SERVER, NAMES_CA, &path, err);
    if (ret == 0)
        ret = add_text(terms, made, path, CERT_MODE, pem_of_certificate(authority->cert), err);
    free(path);
    return ret;
}

static int have_authority(const struct make_terms *terms, struct certificate *authority, struct file_set *made,
                          struct ferry_error *err)
{
    unsigned days = terms->days > MAKE_AUTHORITY_DAYS ? terms->days : MAKE_AUTHORITY_DAYS;
    int ret;

    if (!terms->authority) {
        if (!certificate_authority(authority, days + 1))
            return failed("the authority", err);
        return add_pair(terms, made, TLS_SERVER, NAMES_CA, NAMES_CA_KEY, authority, err);
    }
    ret = load_authority(terms->authority, terms->days, authority, err);
    return ret < 0 ? ret : copy_authority(terms, authority, made, err);
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

static int issue(const struct make_terms *terms, const struct certificate *authority, enum tls_side side,
                 struct file_set *made, struct ferry_error *err)
{
    bool server = side == TLS_SERVER, client_is_host = !server && certificate_is_host(terms->client);
    const char *const *names = server ? terms->hosts : &terms->client;
    unsigned count = server ? terms->host_count : client_is_host ? 1 : 0;
    struct certificate pair;
    int ret;

    if (!certificate_issue(&pair, authority, side, names[0], names, count, terms->days))
        return failed(server ? "the server's certificate" : "the client's certificate", err);
    ret = add_pair(terms, made, side, NAMES_CERT, NAMES_KEY, &pair, err);
    certificate_clear(&pair);
    return ret;
}

static int check_terms(const struct make_terms *terms, struct ferry_error *err)
{
    if (terms->days < 1 || terms->days > MAKE_DAYS_MAX)
        return ferry_error_set(err, -EINVAL, "a certificate is good for 1 to %d days, not for %u", MAKE_DAYS_MAX,
                               terms->days);
    for (unsigned i = 0; i < terms->host_count; i++)
        if (!certificate_is_host(terms->hosts[i]))
            return ferry_error_set(err, -EINVAL, "'%s' is neither the name of a host nor an address", terms->hosts[i]);
    if (terms->client && (!*terms->client || strlen(terms->client) > CERTIFICATE_NAME_MAX))
        return ferry_error_set(err, -EINVAL, "the name of a client is of 1 to %d bytes, not '%s'", CERTIFICATE_NAME_MAX,
                               terms->client);
    return 0;
}

int make_x509(const struct make_terms *terms, struct file_set *made, struct ferry_error *err)
{
    struct certificate authority = { 0 };
    int ret = check_terms(terms, err);

    if (ret == 0)
        ret = have_authority(terms, &authority, made, err);
    if (ret == 0 && terms->host_count > 0)
        ret = issue(terms, &authority, TLS_SERVER, made, err);
    if (ret == 0 && terms->client)
        ret = issue(terms, &authority, TLS_CLIENT, made, err);
    if (ret == 0)
        ret = file_set_commit(made, terms->replace, err);
    certificate_clear(&authority);
    if (ret < 0)
        file_set_clear(made);
    return ret;
}

/* --- keys of a file ----------------------------------------------------------------------------------------------- */

static int check_identity(const char *identity, struct ferry_error *err)
{
    size_t bytes = strlen(identity);

    if (bytes < 1 || bytes > PSK_IDENTITY_MAX)
        return ferry_error_set(err, -EINVAL, "an identity is of 1 to %d bytes", PSK_IDENTITY_MAX);
    for (size_t i = 0; i < bytes; i++)
        if (identity[i] == ':' || identity[i] == '#' || (unsigned char)identity[i] <= ' ' || identity[i] == 0x7f)
            return ferry_error_set(err, -EINVAL, "an identity has no ':' and no '#' in it, nor spaces: '%s'", identity);
    return 0;
}

static int add_key(struct file_set *made, const char *path, const char *identity, struct ferry_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, slash ? (size_t)(slash - path) : 0);
    char line[PSK_IDENTITY_MAX + 2 * PSK_BYTES + 3];
    unsigned char key[PSK_BYTES];
    int used, ret = -EIO;

    if (!folder)
        return ferry_error_set(err, -ENOMEM, "%s: no memory for its name", path);
    used = snprintf(line, sizeof(line), "%s:", identity);
    if (RAND_priv_bytes(key, sizeof(key)) == 1) {
        for (int i = 0; i < PSK_BYTES; i++)
            used += snprintf(line + used, sizeof(line) - (size_t)used, "%02x", key[i]);
        line[used++] = '\n';
        ret = file_set_add(made, folder, path, KEY_MODE, line, (size_t)used, err);
    } else {
        failed(path, err);
    }
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(line, sizeof(line));
    free(folder);
    return ret;
}

int make_psk(const char *path, const char *identity, bool replace, struct file_set *made, struct ferry_error *err)
{
    char *file = psk_path(path);
    int ret = file ? check_identity(identity, err) : ferry_error_set(err, -ENOMEM, "%s: no memory for its name", path);

    if (ret == 0)
        ret = add_key(made, file, identity, err);
    if (ret == 0)
        ret = file_set_commit(made, replace, err);
    if (ret < 0)
        file_set_clear(made);
    free(file);
    return ret;
}
