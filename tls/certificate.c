/* SPDX-License-Identifier: BSD-3-Clause */
/* certificate.c - certificates, made in memory */
#include "certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define SERIAL_BYTES  16
#define DAY_SECONDS   86400
#define EARLY_SECONDS 3600 /* hosts' clocks differ */
#define LABEL_MAX     63

static bool is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool certificate_is_host(const char *host)
{
    const char *at = !strncmp(host, "*.", 2) ? host + 2 : host;

    if (is_address(host))
        return true;
    if (strlen(host) > CERTIFICATE_HOST_MAX)
        return false;
    for (;;) {
        size_t bytes = 0;

        while (is_name_character(at[bytes]))
            bytes++;
        if (bytes == 0 || bytes > LABEL_MAX || at[0] == '-' || at[bytes - 1] == '-')
            return false;
        at += bytes;
        if (!*at)
            return true;
        if (*at++ != '.')
            return false;
    }
}

static bool put_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool good;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and never 0 */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return good;
}

static bool put_dates(X509 *cert, unsigned days)
{
    return X509_gmtime_adj(X509_getm_notBefore(cert), -EARLY_SECONDS) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * DAY_SECONDS);
}

static bool put_subject(X509 *cert, const char *name)
{
    size_t length = strlen(name);
    int bytes = (int)(length < CERTIFICATE_NAME_MAX ? length : CERTIFICATE_NAME_MAX);

    return X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)name, bytes, -1, 0) == 1;
}

static bool extend(X509 *cert, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool good;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
    good = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool add_name(GENERAL_NAMES *names, const char *host)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *text = is_address(host) ? a2i_IPADDRESS(host) : ASN1_IA5STRING_new();

    if (!name || !text || (!is_address(host) && ASN1_STRING_set(text, host, -1) != 1)) {
        ASN1_STRING_free(text);
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, is_address(host) ? GEN_IPADD : GEN_DNS, text);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool put_names(X509 *cert, const char *const *hosts, unsigned count)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool good = names != NULL;

    for (unsigned i = 0; good && i < count; i++)
        good = add_name(names, hosts[i]);
    if (good && count > 0)
        good = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return good;
}

/* Key, serial number and dates. */
static bool begin(struct certificate *made, unsigned days)
{
    made->key = EVP_EC_gen("P-256");
    made->cert = X509_new();
    return made->key && made->cert && X509_set_version(made->cert, X509_VERSION_3) == 1 && put_serial(made->cert) &&
           put_dates(made->cert, days) && X509_set_pubkey(made->cert, made->key) == 1;
}

static bool end(struct certificate *made, bool good)
{
    if (!good)
        certificate_clear(made);
    ERR_clear_error();
    return good;
}

bool certificate_authority(struct certificate *made, unsigned days)
{
    unsigned char random[4];
    char name[32];
    X509 *cert;

    *made = (struct certificate){ 0 };
    /* Of two authorities with one name, a wrong one would be told as a broken signature. */
    if (RAND_bytes(random, sizeof(random)) != 1 || !begin(made, days))
        return end(made, false);
    snprintf(name, sizeof(name), "Ferry CA %02x%02x%02x%02x", random[0], random[1], random[2], random[3]);
    cert = made->cert;
    return end(made, put_subject(cert, name) && X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
                         extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                         extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                         extend(cert, cert, NID_subject_key_identifier, "hash") &&
                         X509_sign(cert, made->key, EVP_sha256()) > 0);
}

bool certificate_issue(struct certificate *made, const struct certificate *authority, enum tls_side side,
                       const char *subject, const char *const *names, unsigned name_count, unsigned days)
{
    X509 *cert;

    *made = (struct certificate){ 0 };
    if (!begin(made, days))
        return end(made, false);
    cert = made->cert;
    return end(made,
               put_subject(cert, subject) && X509_set_issuer_name(cert, X509_get_subject_name(authority->cert)) == 1 &&
                   extend(cert, authority->cert, NID_basic_constraints, "critical,CA:FALSE") &&
                   extend(cert, authority->cert, NID_key_usage, "digitalSignature") &&
                   extend(cert, authority->cert, NID_ext_key_usage, side == TLS_SERVER ? "serverAuth" : "clientAuth") &&
                   extend(cert, authority->cert, NID_subject_key_identifier, "hash") &&
                   extend(cert, authority->cert, NID_authority_key_identifier, "keyid") &&
                   put_names(cert, names, name_count) && X509_sign(cert, authority->key, EVP_sha256()) > 0);
}

void certificate_clear(struct certificate *certificate)
{
    X509_free(certificate->cert);
    EVP_PKEY_free(certificate->key);
    *certificate = (struct certificate){ 0 };
}
