/* SPDX-License-Identifier: BSD-3-Clause */
/* handshake_why.c - why a handshake failed, and at which end */
#include "handshake_run.h"

#include <openssl/err.h>
#include <stdio.h>

static const char *version_name(int version)
{
    switch (version) {
    case SSL3_VERSION:
        return "SSL 3.0";
    case TLS1_VERSION:
        return "TLS 1.0";
    case TLS1_1_VERSION:
        return "TLS 1.1";
    case TLS1_2_VERSION:
        return "TLS 1.2";
    default:
        return "TLS 1.3";
    }
}

int handshake_fail(struct handshake_run *run, enum ferry_code code, struct ferry_error *err, const char *text,
                   const char *more)
{
    ferry_error_set_code(err, code, ferry_code_info(code)->errnum, "%s: TLS: %s%s", run->inner->label, text, more);
    ferry_error_object(err, "%s", run->inner->label);
    return ferry_code_info(code)->errnum;
}

/* The channel failed, or what came is no TLS at all. */
static int explain_channel(struct handshake_run *run, struct ferry_error *err)
{
    if (run->io.errnum) {
        if (err)
            *err = run->io;
        return run->io.errnum;
    }
    return handshake_fail(run, FERRY_E_TLS_EXPECTED, err,
                          run->creds->side == TLS_SERVER ? "it is required here, and the other end sent "
                                                         : "it was asked for, and the other end answered with ",
                          run->plain);
}

int handshake_explain(struct handshake_run *run, SSL *ssl, struct ferry_error *err)
{
    unsigned long error = ERR_peek_error();
    int alert = verdict_received(error), reason = ERR_GET_REASON(error);
    const char *text = verdict_handshake(error);
    char own[VERDICT_BYTES];

    if (run->plain || run->io.errnum)
        return explain_channel(run, err);
    if (run->refused[0])
        return handshake_fail(run, FERRY_E_TLS_UNTRUSTED, err, run->refused, "");
    if (alert == SSL_AD_PROTOCOL_VERSION || reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW) {
        if (run->offered)
            snprintf(own, sizeof(own), "the other end offers nothing newer than %s, ", version_name(run->offered));
        else
            snprintf(own, sizeof(own), "the other end does not speak a version that is taken here, ");
        return handshake_fail(run, FERRY_E_TLS_REFUSED, err, own,
                              SSL_get_min_proto_version(ssl) == TLS1_2_VERSION ? "and TLS 1.2 is the least"
                                                                               : "and TLS 1.3 is the least");
    }
    if (alert >= 0)
        return handshake_fail(run, FERRY_E_TLS_REFUSED, err, "the other end ", verdict_alert(alert));
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE || reason == SSL_R_BINDER_DOES_NOT_VERIFY)
        return handshake_fail(run, FERRY_E_TLS_UNTRUSTED, err, text, "");
    if (text)
        return handshake_fail(run, FERRY_E_TLS_REFUSED, err, text, "");
    if (run->ended)
        return handshake_fail(run, run->looked ? FERRY_E_CONNECTION_LOST : FERRY_E_TLS_EXPECTED, err,
                              run->looked ? "the other end hung up during the handshake"
                                          : "the other end hung up on the handshake: perhaps it does not speak TLS",
                              "");
    verdict_library(own, sizeof(own));
    return handshake_fail(run, FERRY_E_TLS_REFUSED, err, "the handshake failed: ", own);
}
