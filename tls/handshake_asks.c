/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake_asks.c - what OpenSSL asks and tells in the middle of a handshake
 *
 * The callbacks note what they find wrong, for OpenSSL's own word for it says less.
 */
#include "authorise.h"
#include "bytes.h"
#include "handshake_run.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENSION_VERSIONS 43

struct handshake_run *handshake_run_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* "CLIENT_TRAFFIC_SECRET_0 <random> <secret>", all hexadecimal. */
static void on_secret(const SSL *ssl, const char *line)
{
    static const char *const names[2] = { "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 " };
    struct handshake_run *run = handshake_run_of(ssl);

    for (int i = 0; run && i < 2; i++) {
        const char *hex = strrchr(line, ' ');
        size_t bytes = hex ? strlen(++hex) / 2 : 0;

        if (strncmp(line, names[i], strlen(names[i])) || bytes == 0 || bytes > RECORD_SECRET_MAX)
            continue;
        for (size_t b = 0; b < bytes; b++) {
            char pair[3] = { hex[2 * b], hex[2 * b + 1], '\0' };

            run->secrets[i][b] = (uint8_t)strtoul(pair, NULL, 16);
        }
        run->secret_bytes = bytes;
    }
}

static int on_certificate(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct handshake_run *run = handshake_run_of(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int depth = X509_STORE_CTX_get_error_depth(store), error = X509_STORE_CTX_get_error(store);
    bool keys_only = run->creds->kind != CREDENTIAL_X509;
    char subject[128] = "?", names[160] = "";

    if (good && !keys_only && (depth > 0 || authorise_certificate(run->creds->authorise, certificate)))
        return 1;
    if (good)
        X509_STORE_CTX_set_error(store, error = X509_V_ERR_APPLICATION_VERIFICATION);
    if (run->refused[0])
        return 0;
    if (certificate)
        authorise_subject(certificate, subject, sizeof(subject));
    if (certificate && (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH))
        authorise_names(certificate, names, sizeof(names));
    if (keys_only)
        snprintf(run->refused, sizeof(run->refused), "the other end shows a certificate and does not know our key");
    else
        snprintf(run->refused, sizeof(run->refused), "the %s '%s' %s%s%s", depth ? "authority" : "certificate of",
                 subject, verdict_certificate(error), names[0] ? "; it is for " : "", names);
    return 0;
}

/* Keys of a file are bound to SHA-256; any suite with that hash stands for it. */
static SSL_SESSION *file_session(SSL *ssl, const struct psk_key *key)
{
    struct suite_order order = handshake_run_of(ssl)->creds->order;

    suite_keep_sha256(&order);
    return order.suites[0] ? binding_session(ssl, order.suites[0]->tls13, key->bytes, key->count) : NULL;
}

static int client_session(SSL *ssl, const EVP_MD *digest, const unsigned char **identity, size_t *bytes,
                          SSL_SESSION **session)
{
    struct tls_credentials *creds = handshake_run_of(ssl)->creds;
    const struct psk_key *key;

    *session = NULL;
    if (creds->kind == CREDENTIAL_SESSION) {
        *session = binding_session(ssl, creds->bound->suite->tls13, creds->bound->key, creds->bound->key_bytes);
        *identity = (const unsigned char *)creds->bound->identity;
        *bytes = strlen(creds->bound->identity);
    } else if (creds->kind == CREDENTIAL_PSK &&
               (key = psk_find(&creds->psk, creds->identity, strlen(creds->identity)))) {
        *session = file_session(ssl, key);
        *identity = (const unsigned char *)key->identity;
        *bytes = strlen(key->identity);
    }
    if (*session && digest &&
        EVP_MD_get_type(SSL_CIPHER_get_handshake_digest(SSL_SESSION_get0_cipher(*session))) !=
            EVP_MD_get_type(digest)) {
        SSL_SESSION_free(*session);
        *session = NULL;
    }
    return 1;
}

/* Server: a key of the file; NULL with the reason noted. */
static const struct psk_key *find_key(struct handshake_run *run, const char *identity, size_t bytes)
{
    const struct psk_key *key = psk_find(&run->creds->psk, identity, bytes);

    if (!key)
        snprintf(run->refused, sizeof(run->refused), "there is no key for the identity '%.*s' in %s",
                 (int)(bytes < 128 ? bytes : 128), identity, run->creds->psk.path);
    else if (!authorise_identity(run->creds->authorise, key->identity))
        snprintf(run->refused, sizeof(run->refused), "the identity '%s' matches none of those that are authorised",
                 key->identity);
    if (!key || run->refused[0])
        return NULL;
    snprintf(run->identity, sizeof(run->identity), "%s", key->identity);
    return key;
}

static int server_session(SSL *ssl, const unsigned char *identity, size_t bytes, SSL_SESSION **session)
{
    struct handshake_run *run = handshake_run_of(ssl);
    struct binding *binding = binding_table_find(&run->creds->table, identity, bytes);
    const struct psk_key *key;

    *session = NULL;
    if (binding) {
        binding_unref(run->binding);
        run->binding = binding;
        *session = binding_session(ssl, binding->suite->tls13, binding->key, binding->key_bytes);
    } else if (run->creds->kind == CREDENTIAL_PSK && (key = find_key(run, (const char *)identity, bytes))) {
        *session = file_session(ssl, key);
    }
    return 1;
}

/* TLS 1.2 */
static unsigned client_key(SSL *ssl, const char *hint, char *identity, unsigned identity_room, unsigned char *to,
                           unsigned room)
{
    struct tls_credentials *creds = handshake_run_of(ssl)->creds;
    const struct psk_key *key = psk_find(&creds->psk, creds->identity, strlen(creds->identity));

    (void)hint;
    if (!key || strlen(key->identity) >= identity_room || key->count > room)
        return 0;
    memcpy(identity, key->identity, strlen(key->identity) + 1);
    memcpy(to, key->bytes, key->count);
    return (unsigned)key->count;
}

static unsigned server_key(SSL *ssl, const char *identity, unsigned char *to, unsigned room)
{
    const struct psk_key *key = find_key(handshake_run_of(ssl), identity, strlen(identity));

    if (!key || key->count > room)
        return 0;
    memcpy(to, key->bytes, key->count);
    return (unsigned)key->count;
}

static int on_client_hello(SSL *ssl, int *alert, void *opaque)
{
    struct handshake_run *run = handshake_run_of(ssl);
    const unsigned char *list;
    size_t bytes;

    (void)alert;
    (void)opaque;
    run->offered = (int)SSL_client_hello_get0_legacy_version(ssl);
    if (SSL_client_hello_get0_ext(ssl, EXTENSION_VERSIONS, &list, &bytes) == 1)
        for (size_t at = 1; at + 2 <= bytes; at += 2)
            if (list[at] == 3 && (int)load_be16(list + at) > run->offered)
                run->offered = load_be16(list + at);
    return SSL_CLIENT_HELLO_SUCCESS;
}

void tls_handshake_prepare(struct tls_credentials *creds)
{
    SSL_CTX *ctx = creds->ctx;
    bool server = creds->side == TLS_SERVER, psk = creds->kind == CREDENTIAL_PSK;

    SSL_CTX_set_keylog_callback(ctx, on_secret);
    /* A client that has a key, and a server that answers with a certificate: nobody's certificate is believed. */
    if (creds->verify || (psk && !server))
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_certificate);
    if (server) {
        SSL_CTX_set_psk_find_session_callback(ctx, server_session);
        SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    } else {
        SSL_CTX_set_psk_use_session_callback(ctx, client_session);
    }
    if (psk && creds->least == TLS_LEAST_1_2 && server)
        SSL_CTX_set_psk_server_callback(ctx, server_key);
    if (psk && creds->least == TLS_LEAST_1_2 && !server)
        SSL_CTX_set_psk_client_callback(ctx, client_key);
}
