/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_fixture.c - certificates and keys made for one test, and two ends that have shaken hands */
#include "tls_fixture.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES  192
#define DAY_SECONDS 86400

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "tls_fixture: %s\n", what);
    abort();
}

static void path_of(char to[PATH_BYTES], const char *folder, const char *file, const char *ending)
{
    snprintf(to, PATH_BYTES, "%s/%s%s", folder, file, ending);
}

void fixture_folder(char to[64])
{
    snprintf(to, 64, "/tmp/ferry-tls-XXXXXX");
    must(mkdtemp(to), "no folder");
}

void fixture_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PATH_BYTES + 256];

    while (dir && (entry = readdir(dir))) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) < 0)
            fixture_remove(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static void extend(X509 *cert, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
    must(extension && X509_add_ext(cert, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

static X509 *certificate_new(EVP_PKEY *key, const char *subject, int from_days, int to_days)
{
    static long serial = 100;
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), (long)from_days * DAY_SECONDS - 60);
    X509_gmtime_adj(X509_getm_notAfter(cert), (long)to_days * DAY_SECONDS);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Ferry", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    must(X509_set_pubkey(cert, key) == 1, "no public key");
    return cert;
}

static void save(const char *folder, const char *file, X509 *cert, EVP_PKEY *key)
{
    char path[PATH_BYTES];
    FILE *stream;

    path_of(path, folder, file, "-cert.pem");
    stream = fopen(path, "w");
    must(stream && PEM_write_X509(stream, cert) == 1 && fclose(stream) == 0, path);
    path_of(path, folder, file, "-key.pem");
    stream = fopen(path, "w");
    must(stream && PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(stream) == 0, path);
}

static void load(const char *folder, const char *file, X509 **cert, EVP_PKEY **key)
{
    char path[PATH_BYTES];
    FILE *stream;

    path_of(path, folder, file, "-cert.pem");
    stream = fopen(path, "r");
    must(stream && (*cert = PEM_read_X509(stream, NULL, NULL, NULL)), path);
    fclose(stream);
    path_of(path, folder, file, "-key.pem");
    stream = fopen(path, "r");
    must(stream && (*key = PEM_read_PrivateKey(stream, NULL, NULL, NULL)), path);
    fclose(stream);
}

void fixture_authority(const char *folder, const char *subject)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = certificate_new(key, subject, -1, 10);

    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    extend(cert, cert, NID_subject_key_identifier, "hash");
    must(X509_sign(cert, key, EVP_sha256()) > 0, "cannot sign");
    save(folder, "ca", cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void put_on_list(const char *folder, X509 *authority, EVP_PKEY *key, X509 *cert)
{
    X509_CRL *list = X509_CRL_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *when = X509_gmtime_adj(NULL, -60);
    char path[PATH_BYTES];
    FILE *stream;

    X509_CRL_set_version(list, 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(authority));
    X509_CRL_set1_lastUpdate(list, when);
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert));
    X509_REVOKED_set_revocationDate(entry, when);
    X509_CRL_add0_revoked(list, entry);
    X509_gmtime_adj(when, DAY_SECONDS);
    X509_CRL_set1_nextUpdate(list, when);
    must(X509_CRL_sign(list, key, EVP_sha256()) > 0, "cannot sign the list");
    path_of(path, folder, "ca-crl", ".pem");
    stream = fopen(path, "w");
    must(stream && PEM_write_X509_CRL(stream, list) == 1 && fclose(stream) == 0, path);
    ASN1_TIME_free(when);
    X509_CRL_free(list);
}

void fixture_issue(const char *folder, const struct fixture_certificate *say)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *authority_key = NULL;
    X509 *authority = NULL, *cert;

    load(say->signer ? say->signer : folder, "ca", &authority, &authority_key);
    cert = certificate_new(key, say->subject, say->from_days, say->to_days ? say->to_days : 10);
    X509_set_issuer_name(cert, X509_get_subject_name(authority));
    extend(cert, authority, NID_basic_constraints, "critical,CA:FALSE");
    extend(cert, authority, NID_key_usage, "critical,digitalSignature");
    if (say->names)
        extend(cert, authority, NID_subject_alt_name, say->names);
    if (say->purpose)
        extend(cert, authority, NID_ext_key_usage, say->purpose);
    must(X509_sign(cert, authority_key, EVP_sha256()) > 0, "cannot sign");
    save(folder, say->file, cert, key);
    if (say->revoked)
        put_on_list(folder, authority, authority_key, cert);
    X509_free(cert);
    X509_free(authority);
    EVP_PKEY_free(key);
    EVP_PKEY_free(authority_key);
}

void fixture_write(const char *folder, const char *file, const char *text)
{
    char path[PATH_BYTES];
    FILE *stream;

    path_of(path, folder, file, "");
    stream = fopen(path, "w");
    must(stream && fputs(text, stream) >= 0 && fclose(stream) == 0, path);
}

void fixture_fill(const char *folder)
{
    fixture_authority(folder, folder); /* one of its own name */
    fixture_issue(folder, &(struct fixture_certificate){ .file = "server",
                                                         .subject = FIXTURE_HOST,
                                                         .names = "DNS:" FIXTURE_HOST ",IP:127.0.0.1",
                                                         .purpose = "serverAuth" });
    fixture_issue(folder, &(struct fixture_certificate){ .file = "client",
                                                         .subject = "source.example.com",
                                                         .names = "DNS:source.example.com,email:admin@example.com",
                                                         .purpose = "clientAuth" });
    fixture_write(folder, "keys.psk",
                  "# keys of a test\n"
                  "qemu:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                  "\n"
                  "other:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n");
}

struct tls_credentials *fixture_credentials(enum tls_side side, const struct tls_terms *rest)
{
    struct tls_terms terms = *rest;
    struct ferry_error err = { 0 };
    struct tls_credentials *creds;

    terms.side = side;
    creds = tls_credentials_new(&terms, &err);
    if (!creds)
        fprintf(stderr, "%s\n", err.text);
    must(creds, "no credentials");
    return creds;
}

/* --- shaking hands ------------------------------------------------------------------------------------------------ */

struct end {
    pthread_t thread;
    struct ferry_channel *inner, *chan;
    struct tls_credentials *creds;
    const char *host;
    struct ferry_error err;
};

static void *shake(void *opaque)
{
    struct end *end = opaque;

    end->chan = tls_channel_new(end->inner, end->creds, end->host, &end->err);
    /* The other end must not wait for somebody who gave up. */
    if (!end->chan)
        ferry_channel_unref(end->inner);
    return NULL;
}

void fixture_shake(struct fixture_pair *pair, struct ferry_channel *inner[2], struct tls_credentials *client,
                   const char *host, struct tls_credentials *server)
{
    struct end ends[2] = { { .inner = inner[0], .creds = client, .host = host },
                           { .inner = inner[1], .creds = server } };

    for (int i = 0; i < 2; i++)
        must(pthread_create(&ends[i].thread, NULL, shake, &ends[i]) == 0, "no thread");
    for (int i = 0; i < 2; i++)
        pthread_join(ends[i].thread, NULL);
    *pair = (struct fixture_pair){ ends[0].chan, ends[1].chan, ends[0].err, ends[1].err };
}

void fixture_connect(struct fixture_pair *pair, struct tls_credentials *client, struct tls_credentials *server)
{
    struct ferry_channel *inner[2];
    struct ferry_error err;

    must(ferry_channel_pair(inner, &err) == 0, "no socket pair");
    fixture_shake(pair, inner, client, FIXTURE_HOST, server);
    if (!pair->client || !pair->server)
        fprintf(stderr, "client: %s\nserver: %s\n", ferry_error_text(&pair->client_error),
                ferry_error_text(&pair->server_error));
    must(pair->client && pair->server, "no handshake");
}

void fixture_drop(struct fixture_pair *pair)
{
    ferry_channel_unref(pair->client);
    ferry_channel_unref(pair->server);
    pair->client = pair->server = NULL;
}
