/* SPDX-License-Identifier: BSD-3-Clause */
/* verdict.c - why a certificate, a handshake or a connection was refused, in words */
#include "verdict.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

struct row {
    int value;
    const char *text;
};

static const struct row certificates[] = {
    { X509_V_ERR_CERT_HAS_EXPIRED, "has expired" },
    { X509_V_ERR_CERT_NOT_YET_VALID, "is not valid yet" },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "is signed by an authority that is not known here" },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "is signed by an authority that is not known here" },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "is signed by an authority that is not known here" },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "is signed by nobody but itself" },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "is not one that is trusted here" },
    { X509_V_ERR_CERT_SIGNATURE_FAILURE, "has a signature that is not of the authority it names" },
    { X509_V_ERR_CERT_REVOKED, "was revoked" },
    { X509_V_ERR_UNABLE_TO_GET_CRL, "cannot be looked up: there is no revocation list of its authority" },
    { X509_V_ERR_CRL_HAS_EXPIRED, "cannot be looked up: the revocation list has expired" },
    { X509_V_ERR_CRL_NOT_YET_VALID, "cannot be looked up: the revocation list is not valid yet" },
    { X509_V_ERR_CRL_SIGNATURE_FAILURE, "cannot be looked up: the revocation list is not of its authority" },
    { X509_V_ERR_INVALID_PURPOSE, "is for another purpose" },
    { X509_V_ERR_INVALID_CA, "is signed by a certificate that may sign none" },
    { X509_V_ERR_PATH_LENGTH_EXCEEDED, "has a longer chain than its authority permits" },
    { X509_V_ERR_HOSTNAME_MISMATCH, "is for another name" },
    { X509_V_ERR_IP_ADDRESS_MISMATCH, "is for another address" },
    { X509_V_ERR_EE_KEY_TOO_SMALL, "has a key that is too short to be safe" },
    { X509_V_ERR_CA_KEY_TOO_SMALL, "is signed with a key that is too short to be safe" },
    { X509_V_ERR_CA_MD_TOO_WEAK, "is signed with a hash that is not safe any more" },
    { X509_V_ERR_APPLICATION_VERIFICATION, "matches none of the subjects that are authorised" },
};

/* RFC 8446, 6.2 */
static const struct row alerts[] = {
    { 10, "did not expect our last message" },
    { 20, "found a record that was changed on its way" },
    { 22, "found a record that is too long" },
    { 40, "refused the handshake: there is nothing that both ends accept, or it does not accept us" },
    { 42, "does not accept our certificate: it is damaged" },
    { 43, "does not accept our certificate: it is of a kind, or for a purpose, that it does not take" },
    { 44, "does not accept our certificate: it was revoked" },
    { 45, "does not accept our certificate: it has expired, or is not valid yet" },
    { 46, "does not accept our certificate" },
    { 47, "found a value that cannot be in our handshake" },
    { 48, "does not accept our certificate: it does not know the authority that signed it" },
    { 49, "does not let us in" },
    { 50, "could not read our message" },
    { 51, "could not verify what we proved: the keys differ" },
    { 70, "speaks no version of TLS that we accept" },
    { 71, "finds our ciphers not safe enough" },
    { 80, "failed within" },
    { 86, "finds that we fell back to an older version" },
    { 90, "was cancelled" },
    { 100, "does not renegotiate" },
    { 109, "misses an extension" },
    { 110, "knows nothing of an extension of ours" },
    { 112, "does not know the name that we asked for" },
    { 115, "does not know our PSK identity" },
    { 116, "wants a certificate, and we have none" },
    { 120, "has no application protocol in common with us" },
};

static const struct row handshakes[] = {
    { SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the other end has no certificate, and one is wanted" },
    { SSL_R_BINDER_DOES_NOT_VERIFY, "the other end has another key for its PSK identity" },
    { SSL_R_NO_SHARED_CIPHER, "the other end offers no cipher, or no kind of credentials, that is accepted here" },
    { SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
      "the other end offers no kind of credentials that is accepted here (a certificate against a PSK?)" },
    { SSL_R_NO_SUITABLE_KEY_SHARE, "the other end has no key exchange in common with us" },
    { SSL_R_WRONG_VERSION_NUMBER, "what the other end sent is no TLS" },
    { SSL_R_BAD_RECORD_TYPE, "what the other end sent is no TLS" },
    { SSL_R_HTTP_REQUEST, "an HTTP request came instead of TLS" },
    { SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record of the handshake was changed on its way" },
    { SSL_R_DIGEST_CHECK_FAILED, "the handshake was changed on its way" },
    { SSL_R_BAD_SIGNATURE, "the other end does not have the key of its certificate" },
    { SSL_R_DH_KEY_TOO_SMALL, "the other end's key exchange is too short to be safe" },
    { SSL_R_BAD_PSK, "the other end used a PSK that was not offered" },
};

static const char *find(const struct row *rows, size_t count, int value)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].value == value)
            return rows[i].text;
    return NULL;
}

#define FIND(rows, value) find(rows, sizeof(rows) / sizeof((rows)[0]), value)

const char *verdict_certificate(int error)
{
    const char *text = FIND(certificates, error);

    return text ? text : X509_verify_cert_error_string(error);
}

const char *verdict_alert(int alert)
{
    const char *text = FIND(alerts, alert);

    return text ? text : "gave up with an alert that has no name";
}

int verdict_received(unsigned long library_error)
{
    int reason = ERR_GET_REASON(library_error);

    if (ERR_GET_LIB(library_error) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET ||
        reason > SSL_AD_REASON_OFFSET + 255)
        return -1;
    return reason - SSL_AD_REASON_OFFSET;
}

const char *verdict_handshake(unsigned long library_error)
{
    return ERR_GET_LIB(library_error) == ERR_LIB_SSL ? FIND(handshakes, ERR_GET_REASON(library_error)) : NULL;
}

void verdict_library(char *to, size_t room)
{
    unsigned long error = ERR_get_error();
    const char *reason = ERR_reason_error_string(error);

    snprintf(to, room, "%s", reason ? reason : error ? "failed in the library" : "failed");
    ERR_clear_error();
}
