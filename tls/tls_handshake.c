/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_handshake.c - OpenSSL shakes hands over a channel, and hands over what the records need
 *
 * OpenSSL reads exactly the records of the handshake, out of `input`; whatever the inner channel gave beyond them stays
 * there.
 */
#include "tls_handshake.h"

#include "authorise.h"
#include "handshake_run.h"
#include "judge.h"
#include "keys.h"
#include "sniff.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* --- bytes in and out --------------------------------------------------------------------------------------------- */

/* At least @bytes of input, or less at the end.  False once the channel failed. */
static bool have(struct handshake_run *run, size_t bytes)
{
    struct tls_input *input = run->input;

    if (input->start == input->end)
        input->start = input->end = 0;
    while (!run->ended && input->end - input->start < bytes) {
        struct iovec iov = { input->data + input->end, input->room - input->end };
        ssize_t done = ferry_channel_readv(run->inner, &iov, 1, &run->io);

        if (done < 0)
            return false;
        run->ended = done == 0;
        input->end += (size_t)done;
    }
    return true;
}

static int bio_read(BIO *bio, char *to, int bytes)
{
    struct handshake_run *run = BIO_get_data(bio);
    struct tls_input *input = run->input;
    size_t first = run->looked ? 1 : TLS_SNIFF_BYTES, part;

    if (bytes <= 0 || run->io.errnum || !have(run, first))
        return -1;
    part = input->end - input->start;
    if (!run->looked && part > 0 && !tls_sniff_is_tls(input->data + input->start, part)) {
        run->plain = tls_sniff_name(input->data + input->start, part);
        return -1;
    }
    run->looked = run->looked || part > 0;
    part = part < (size_t)bytes ? part : (size_t)bytes;
    memcpy(to, input->data + input->start, part);
    input->start += part;
    return (int)part;
}

static int bio_write(BIO *bio, const char *from, int bytes)
{
    struct handshake_run *run = BIO_get_data(bio);
    struct iovec iov = { (void *)(uintptr_t)from, (size_t)(bytes > 0 ? bytes : 0) };
    struct ferry_error err = { 0 };

    if (run->io.errnum)
        return -1;
    if (ferry_channel_writev_all(run->inner, &iov, 1, &err) == 0)
        return bytes;
    run->io = err;
    return -1;
}

static long bio_control(BIO *bio, int command, long number, void *opaque)
{
    (void)bio;
    (void)number;
    (void)opaque;
    return command == BIO_CTRL_FLUSH;
}

static bool attach(SSL *ssl, BIO_METHOD *method, struct handshake_run *run)
{
    BIO *bio = BIO_new(method);

    if (!bio || SSL_set_app_data(ssl, run) != 1) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, run);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return true;
}

/* --- what was agreed ---------------------------------------------------------------------------------------------- */

/* TLS 1.2 has its keys in one block: client's and server's key, client's and server's part of the nonce. */
static int old_secrets(SSL *ssl, struct record_secret *client, struct record_secret *server)
{
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH], randoms[64], block[2 * (SUITE_KEY_MAX + SUITE_NONCE)];
    size_t key = client->suite->key_bytes, nonce = client->suite->explicit_nonce ? 4 : SUITE_NONCE;
    size_t bytes = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
    int ret = -EIO;

    if (SSL_get_server_random(ssl, randoms, 32) == 32 && SSL_get_client_random(ssl, randoms + 32, 32) == 32)
        ret = keys_block(client->sha384, master, bytes, randoms, block, 2 * (key + nonce));
    if (ret == 0) {
        memcpy(client->bytes, block, key);
        memcpy(client->bytes + key, block + 2 * key, nonce);
        memcpy(server->bytes, block + key, key);
        memcpy(server->bytes + key, block + 2 * key + nonce, nonce);
        client->count = server->count = key + nonce;
    }
    OPENSSL_cleanse(master, sizeof(master));
    OPENSSL_cleanse(block, sizeof(block));
    return ret;
}

static int take_secrets(struct handshake_run *run, SSL *ssl, struct tls_agreed *agreed)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    bool server = run->creds->side == TLS_SERVER;
    struct record_secret *ends[2] = { server ? &agreed->receives : &agreed->sends,
                                      server ? &agreed->sends : &agreed->receives };
    const struct suite *suite = suite_of_evp(OBJ_nid2ln(SSL_CIPHER_get_cipher_nid(cipher)));
    bool old = SSL_version(ssl) == TLS1_2_VERSION;

    if (!suite || (!old && SSL_version(ssl) != TLS1_3_VERSION))
        return -ENOTSUP;
    for (int i = 0; i < 2; i++) {
        ends[i]->suite = suite;
        ends[i]->old = old;
        ends[i]->sha384 = EVP_MD_get_type(SSL_CIPHER_get_handshake_digest(cipher)) == NID_sha384;
        ends[i]->count = run->secret_bytes;
        memcpy(ends[i]->bytes, run->secrets[i], run->secret_bytes);
    }
    if (old)
        return old_secrets(ssl, ends[0], ends[1]);
    return run->secret_bytes ? 0 : -EIO;
}

/* How has the other end proven who it is?  A client with a key never goes on with anything else. */
static int take_proof(struct handshake_run *run, SSL *ssl, struct tls_agreed *agreed, struct ferry_error *err)
{
    const struct tls_credentials *creds = run->creds;
    bool resumed = SSL_session_reused(ssl);
    X509 *certificate = SSL_get1_peer_certificate(ssl);

    if (certificate)
        authorise_subject(certificate, agreed->peer, sizeof(agreed->peer));
    X509_free(certificate);
    if (SSL_version(ssl) == TLS1_2_VERSION && creds->kind == CREDENTIAL_PSK)
        resumed = SSL_CIPHER_get_auth_nid(SSL_get_current_cipher(ssl)) == NID_auth_psk;
    if (creds->kind == CREDENTIAL_X509 && !resumed)
        agreed->proof = TLS_PROOF_CERTIFICATE;
    else if (resumed && (creds->kind == CREDENTIAL_SESSION || run->binding))
        agreed->proof = TLS_PROOF_SESSION;
    else if (resumed && creds->kind == CREDENTIAL_PSK)
        agreed->proof = TLS_PROOF_PSK;
    else
        return handshake_fail(run, FERRY_E_TLS_UNTRUSTED, err, "the other end did not prove that it knows our key", "");
    if (agreed->proof == TLS_PROOF_PSK)
        snprintf(agreed->peer, sizeof(agreed->peer), "%s", creds->side == TLS_SERVER ? run->identity : creds->identity);
    return 0;
}

static int conclude(struct handshake_run *run, SSL *ssl, struct tls_agreed *agreed, struct ferry_error *err)
{
    int ret = take_proof(run, ssl, agreed, err);

    if (ret < 0)
        return ret;
    if (take_secrets(run, ssl, agreed) < 0)
        return handshake_fail(run, FERRY_E_INTERNAL, err, "OpenSSL did not give away what the records need", "");
    if (agreed->proof == TLS_PROOF_SESSION) {
        agreed->binding = binding_ref(run->binding ? run->binding : run->creds->bound);
        snprintf(agreed->peer, sizeof(agreed->peer), "%s", agreed->binding->peer);
        return 0;
    }
    if (agreed->sends.old)
        return 0;
    agreed->binding = binding_new(ssl, agreed->sends.suite, agreed->peer);
    return agreed->binding ? 0 : ferry_error_set(err, -ENOMEM, "%s: no memory for TLS", run->inner->label);
}

/* Who came without TLS knows by this alert that it is wanted here. */
static void say_it_is_wanted(struct ferry_channel *inner)
{
    static const uint8_t unexpected_message[] = { 21, 3, 3, 0, 2, 2, 10 };
    struct iovec iov = { (void *)(uintptr_t)unexpected_message, sizeof(unexpected_message) };

    (void)!ferry_channel_writev_all(inner, &iov, 1, NULL);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

/* Client: whose certificate is to come. */
static int expect_name(struct handshake_run *run, SSL *ssl, const char *host, struct ferry_error *err)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *name = run->creds->hostname ? run->creds->hostname : host;

    if (!name)
        return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL,
                                    "%s: TLS: the address has no host name to check the certificate against: say which "
                                    "with tls-hostname",
                                    run->inner->label);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
        return 0;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, JUDGE_HOST_FLAGS);
    if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
        return ferry_error_set_code(err, FERRY_E_TLS_CREDENTIALS, -EINVAL, "%s: TLS: '%s' cannot be a host's name",
                                    run->inner->label, name);
    return 0;
}

static int shake(struct handshake_run *run, SSL *ssl, const char *host, struct tls_agreed *agreed,
                 struct ferry_error *err)
{
    struct tls_credentials *creds = run->creds;
    int ret = 0;

    if (creds->side == TLS_SERVER)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    if (creds->side == TLS_CLIENT && creds->verify)
        ret = expect_name(run, ssl, host, err);
    if (ret == 0 && creds->kind == CREDENTIAL_SESSION && SSL_set_ciphersuites(ssl, creds->bound->suite->tls13) != 1)
        ret = ferry_error_set(err, -ENOMEM, "%s: no memory for TLS", run->inner->label);
    if (ret < 0)
        return ret;
    ERR_clear_error();
    if (SSL_do_handshake(ssl) == 1)
        return conclude(run, ssl, agreed, err);
    if (run->plain && creds->side == TLS_SERVER)
        say_it_is_wanted(run->inner);
    return handshake_explain(run, ssl, err);
}

int tls_handshake(struct ferry_channel *inner, struct tls_credentials *creds, const char *host, struct tls_input *input,
                  struct tls_agreed *agreed, struct ferry_error *err)
{
    struct handshake_run run = { .inner = inner, .creds = creds, .input = input };
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ferry channel");
    SSL *ssl = SSL_new(creds->ctx);
    int ret;

    *agreed = (struct tls_agreed){ 0 };
    if (method && ssl && BIO_meth_set_read(method, bio_read) == 1 && BIO_meth_set_write(method, bio_write) == 1 &&
        BIO_meth_set_ctrl(method, bio_control) == 1 && attach(ssl, method, &run))
        ret = shake(&run, ssl, host, agreed, err);
    else
        ret = ferry_error_set(err, -ENOMEM, "%s: no memory for TLS", inner->label);
    SSL_free(ssl);
    BIO_meth_free(method);
    ERR_clear_error();
    binding_unref(run.binding);
    OPENSSL_cleanse(run.secrets, sizeof(run.secrets));
    return ret;
}
