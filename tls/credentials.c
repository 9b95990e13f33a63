/* SPDX-License-Identifier: BSD-3-Clause */
/* credentials.c - who we are and whom we believe: certificates from a folder, or keys from a file */
#include "credential_parts.h"

#include "tls_handshake.h"
#include "x509.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_SESSIONS "ferry" /* OpenSSL wants a name for what a server resumes, where it verifies */

struct tls_credentials *tls_credentials_ref(struct tls_credentials *creds)
{
    atomic_fetch_add_explicit(&creds->refs, 1, memory_order_relaxed);
    return creds;
}

void tls_credentials_unref(struct tls_credentials *creds)
{
    if (!creds || atomic_fetch_sub_explicit(&creds->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(creds->ctx);
    binding_unref(creds->bound);
    binding_table_clear(&creds->table);
    psk_clear(&creds->psk);
    free(creds->hostname);
    free(creds->authorise);
    free(creds->identity);
    free(creds);
}

static struct tls_credentials *make(enum tls_side side, enum credential_kind kind)
{
    struct tls_credentials *creds = calloc(1, sizeof(*creds));

    if (!creds)
        return NULL;
    atomic_init(&creds->refs, 1);
    creds->side = side;
    creds->kind = kind;
    binding_table_init(&creds->table);
    return creds;
}

/* For TLS 1.2 by PSK, whose AES suites know no other key exchange with forward secrecy.  OpenSSL's own choice is a
 * group of 1024 bits there. */
static bool set_group(SSL_CTX *ctx)
{
    char group[] = "ffdhe3072";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                            OSSL_PARAM_construct_end() };
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    EVP_PKEY *key = NULL;
    bool set = maker && EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_CTX_set_params(maker, params) == 1 &&
               EVP_PKEY_generate(maker, &key) == 1 && SSL_CTX_set0_tmp_dh_pkey(ctx, key) == 1;

    EVP_PKEY_CTX_free(maker);
    if (!set)
        EVP_PKEY_free(key);
    return set;
}

/* What holds for all of ours: 1.3 or 1.2, no tickets (a QEMU source never reads them, and its last bytes are lost when
 * it closes on them), no renegotiation, our order of ciphers unless the client has no AES instructions. */
static bool set_up_context(struct tls_credentials *creds)
{
    bool psk = creds->kind == CREDENTIAL_PSK;
    char tls12[SUITE_LIST_SIZE], tls13[SUITE_LIST_SIZE];
    struct suite_order order = creds->order;

    creds->ctx = SSL_CTX_new(creds->side == TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (!creds->ctx)
        return false;
    suite_list(&order, psk ? SUITE_PSK_TLS12 : SUITE_X509_TLS12, tls12);
    if (psk)
        suite_keep_sha256(&order);
    suite_list(&order, SUITE_TLS13, tls13);
    SSL_CTX_set_options(creds->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                        SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(creds->ctx, SSL_SESS_CACHE_OFF);
    tls_handshake_prepare(creds);
    if (psk && creds->side == TLS_SERVER && creds->least == TLS_LEAST_1_2 && !set_group(creds->ctx))
        return false;
    return SSL_CTX_set_num_tickets(creds->ctx, 0) == 1 &&
           (creds->side == TLS_CLIENT || SSL_CTX_set_session_id_context(creds->ctx, (const uint8_t *)SERVER_SESSIONS,
                                                                        sizeof(SERVER_SESSIONS) - 1)) &&
           SSL_CTX_set_min_proto_version(creds->ctx, creds->least == TLS_LEAST_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) ==
               1 &&
           SSL_CTX_set_max_proto_version(creds->ctx, tls13[0] ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(creds->ctx, tls13) == 1 && SSL_CTX_set_cipher_list(creds->ctx, tls12) == 1;
}

static int copy_texts(struct tls_credentials *creds, const struct tls_terms *terms, struct ferry_error *err)
{
    const char *identity = terms->identity ? terms->identity : TLS_PSK_IDENTITY;

    creds->hostname = terms->hostname ? strdup(terms->hostname) : NULL;
    creds->authorise = terms->authorise ? strdup(terms->authorise) : NULL;
    creds->identity = strdup(identity);
    if ((terms->hostname && !creds->hostname) || (terms->authorise && !creds->authorise) || !creds->identity)
        return ferry_error_set(err, -ENOMEM, "no memory for TLS credentials");
    return 0;
}

static int load_psk(struct tls_credentials *creds, const char *path, struct ferry_error *err)
{
    int ret = psk_load(&creds->psk, path, err);

    if (ret == 0 && creds->side == TLS_CLIENT && !psk_find(&creds->psk, creds->identity, strlen(creds->identity)))
        ret = ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -ENOENT, "%s: there is no key for the identity '%s'",
                                   creds->psk.path, creds->identity);
    return ret;
}

static int choose_ciphers(struct tls_credentials *creds, const char *text, struct ferry_error *err)
{
    struct suite_order kept;
    int ret = 0;

    if (text)
        ret = suite_parse(text, &creds->order, err);
    else
        suite_measure(&creds->order);
    kept = creds->order;
    suite_keep_sha256(&kept);
    if (ret == 0 && creds->kind == CREDENTIAL_PSK && creds->least == TLS_LEAST_1_3 && !kept.suites[0])
        ret =
            ferry_error_set_code(err, FERRY_E_BAD_OPTION, -EINVAL,
                                 "%s cannot be used with keys of a file: in TLS 1.3 these are bound to SHA-256", text);
    return ret;
}

static int build(struct tls_credentials *creds, const struct tls_terms *terms, struct ferry_error *err)
{
    int ret;

    creds->verify = creds->kind == CREDENTIAL_X509 && !terms->no_verify;
    creds->least = terms->least;
    creds->update_bytes = terms->update_bytes;
    ret = copy_texts(creds, terms, err);
    if (ret == 0)
        ret = choose_ciphers(creds, terms->ciphers, err);
    if (ret == 0 && !set_up_context(creds)) {
        ERR_clear_error();
        ret = ferry_error_set(err, -ENOTSUP, "OpenSSL does not offer what TLS needs here");
    }
    if (ret == 0)
        ret = creds->kind == CREDENTIAL_X509 ? x509_load(creds, terms->folder, err) : load_psk(creds, terms->psk, err);
    return ret;
}

struct tls_credentials *tls_credentials_new(const struct tls_terms *terms, struct ferry_error *err)
{
    struct tls_credentials *creds;

    if (!terms->folder == !terms->psk) {
        ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL,
                             "TLS takes either a folder of certificates or a file of keys");
        return NULL;
    }
    creds = make(terms->side, terms->folder ? CREDENTIAL_X509 : CREDENTIAL_PSK);
    if (!creds)
        ferry_error_set(err, -ENOMEM, "no memory for TLS credentials");
    else if (build(creds, terms, err) == 0)
        return creds;
    tls_credentials_unref(creds);
    return NULL;
}

struct tls_credentials *credentials_bound(struct tls_credentials *main, struct binding *binding)
{
    struct tls_credentials *creds = make(TLS_CLIENT, CREDENTIAL_SESSION);

    if (!creds)
        return NULL;
    SSL_CTX_up_ref(main->ctx);
    creds->ctx = main->ctx;
    creds->update_bytes = main->update_bytes;
    creds->bound = binding_ref(binding);
    return creds;
}
