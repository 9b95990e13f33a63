/* SPDX-License-Identifier: BSD-3-Clause */
/* judge.c - what the other end would find wrong with a certificate of ours */
#include "judge.h"

#include "verdict.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define TOLD_MAX 32

struct judging {
    enum tls_side side;
    judge_found *found;
    void *opaque;
    int count;
    bool purpose_told;
    struct told {
        X509 *who;
        const char *text;
    } told[TOLD_MAX];
};

/* OpenSSL finds some things twice, once for each thing that follows from them.  @text is a constant. */
static bool is_told(const struct judging *judging, X509 *who, const char *text)
{
    for (int i = 0; i < judging->count; i++)
        if (judging->told[i].who == who && !strcmp(judging->told[i].text, text))
            return true;
    return judging->count == TOLD_MAX;
}

static void tell(struct judging *judging, X509 *who, int error, const char *about, const char *text)
{
    char sentence[VERDICT_BYTES];

    if (is_told(judging, who, text))
        return;
    judging->told[judging->count++] = (struct told){ who, text };
    judging->purpose_told |= error == X509_V_ERR_INVALID_PURPOSE;
    snprintf(sentence, sizeof(sentence), "%s %s", about, text);
    judging->found(judging->opaque, who, error, sentence);
}

/* Every handshake here is signed, whatever the version. */
static bool may_sign(X509 *cert)
{
    return X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE;
}

static const char *purpose_text(X509 *cert, enum tls_side side)
{
    uint32_t wanted = side == TLS_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;

    if (X509_get_extended_key_usage(cert) & wanted)
        return "does not permit its key to sign (key usage)";
    return side == TLS_SERVER ? "is not for a TLS server (extended key usage)"
                              : "is not for a TLS client (extended key usage)";
}

static int on_verdict(int good, X509_STORE_CTX *check)
{
    struct judging *judging = X509_STORE_CTX_get_app_data(check);
    int error = X509_STORE_CTX_get_error(check), depth = X509_STORE_CTX_get_error_depth(check);
    X509 *who = X509_STORE_CTX_get_current_cert(check);

    if (good)
        return 1;
    tell(judging, who, error, depth ? "the authority of the certificate" : "the certificate",
         error == X509_V_ERR_INVALID_PURPOSE && !depth ? purpose_text(who, judging->side) : verdict_certificate(error));
    X509_STORE_CTX_set_error(check, X509_V_OK);
    return 1; /* go on: what else is wrong? */
}

int judge_certificate(X509_STORE *store, X509 *cert, STACK_OF(X509) * chain, enum tls_side side, judge_found *found,
                      void *opaque)
{
    struct judging judging = { .side = side, .found = found, .opaque = opaque };
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    bool began = check && X509_STORE_CTX_init(check, store, cert, chain) == 1 &&
                 X509_STORE_CTX_set_default(check, side == TLS_SERVER ? "ssl_server" : "ssl_client") == 1 &&
                 X509_STORE_CTX_set_app_data(check, &judging) == 1;
    bool whole = false;

    if (began) {
        X509_VERIFY_PARAM_clear_flags(X509_STORE_CTX_get0_param(check), X509_V_FLAG_CRL_CHECK);
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check), JUDGE_LEVEL);
        X509_STORE_CTX_set_verify_cb(check, on_verdict);
        whole = X509_verify_cert(check) == 1 || judging.count > 0;
    }
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    if (!whole)
        return -ENOMEM;
    if (!may_sign(cert) && !judging.purpose_told)
        tell(&judging, cert, X509_V_ERR_INVALID_PURPOSE, "the certificate", purpose_text(cert, side));
    return judging.count;
}

bool judge_host(X509 *cert, const char *host)
{
    int found = X509_check_ip_asc(cert, host, 0);

    /* -2: no address, so a name. */
    if (found == -2)
        found = X509_check_host(cert, host, 0, JUDGE_HOST_FLAGS, NULL);
    ERR_clear_error();
    return found == 1;
}
