/* SPDX-License-Identifier: BSD-3-Clause */
/* check_x509.c - what is wrong with the certificates of a folder
 *
 *      authority --- signs ---> server   name? purpose? key beside it?
 *          |    \--- signs ---> client          purpose? key beside it?
 *          '--- revocation list, if there is one: whose, until when, who is on it?
 */
#include "authorise.h"
#include "check_parts.h"
#include "judge.h"
#include "names.h"
#include "pem.h"
#include "verdict.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOON_DAYS   30
#define SOON_PART   3   /* of its life, where that is short */
#define BITS_LEAST  112 /* JUDGE_LEVEL */
#define DAY_SECONDS 86400
#define DATE_BYTES  32

/* What one look at a folder has in hand.  Nothing of it is NULL for long without a finding that says why. */
struct look {
    struct check_report *report;
    const char *folder;
    const char *const *hosts;
    unsigned host_count;
    STACK_OF(X509) * authorities; /* or NULL */
    X509_STORE *store;            /* of these */
    X509_CRL *list;               /* or NULL */
};

/* One file of the folder, begun in the report; NULL: it is not there, or there is no memory (*ret). */
static struct check_file *look_for(struct look *look, enum tls_side side, enum names_what what, const char *kind,
                                   bool needed, int *ret)
{
    const char *missing;
    char *path = names_find(look->folder, side, what, &missing);
    struct check_file *file = NULL;

    if (path) {
        file = check_begin(look->report, path, kind);
        check_modes(look->report, file, what == NAMES_KEY || what == NAMES_CA_KEY);
    } else if (!missing) {
        *ret = -ENOMEM;
    } else if (needed) {
        char *wanted = names_new(look->folder, NAMES_QEMU, side, what);

        check_tell(look->report, check_begin(look->report, wanted ? wanted : look->folder, kind), CHECK_MISSING,
                   "there is no %s", missing);
        free(wanted);
    }
    free(path);
    return file;
}

/* --- one certificate ---------------------------------------------------------------------------------------------- */

static const char *date_text(const ASN1_TIME *when, char to[DATE_BYTES])
{
    struct tm at;

    if (ASN1_TIME_to_tm(when, &at) != 1 || strftime(to, DATE_BYTES, "%Y-%m-%d", &at) == 0)
        snprintf(to, DATE_BYTES, "an unreadable date");
    return to;
}

static void describe(struct check_file *file, X509 *cert)
{
    char subject[160], names[200], date[DATE_BYTES];
    EVP_PKEY *key = X509_get0_pubkey(cert);
    const char *kind = key ? EVP_PKEY_get0_type_name(key) : NULL;

    authorise_subject(cert, subject, sizeof(subject));
    authorise_names(cert, names, sizeof(names));
    if (!strchr(names, ':')) /* without a kind it is the subject's own */
        names[0] = '\0';
    snprintf(file->about, sizeof(file->about), "%s%s%s%s, %s of %d bits, good until %s", subject, *names ? " (" : "",
             names, *names ? ")" : "", kind ? kind : "a key", key ? EVP_PKEY_get_bits(key) : 0,
             date_text(X509_get0_notAfter(cert), date));
}

/* From @from (NULL: now) to @until; 0 where one of them cannot be read. */
static int64_t seconds_between(const ASN1_TIME *from, const ASN1_TIME *until)
{
    int days, seconds;

    return ASN1_TIME_diff(&days, &seconds, from, until) == 1 ? (int64_t)days * DAY_SECONDS + seconds : 0;
}

/* Not yet expired, and soon to be. */
static void check_soon(struct look *look, struct check_file *file, const char *what, const ASN1_TIME *from,
                       const ASN1_TIME *until)
{
    int64_t left = until ? seconds_between(NULL, until) : 0, days = left / DAY_SECONDS;
    char date[DATE_BYTES];

    if (left > 0 && days < SOON_DAYS && left * SOON_PART < seconds_between(from, until))
        check_tell(look->report, file, CHECK_EXPIRES_SOON, "%s expires in %d %s, on %s", what, (int)days,
                   days == 1 ? "day" : "days", date_text(until, date));
}

static enum check_defect defect_of(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return CHECK_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CHECK_NOT_YET_VALID;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return CHECK_PURPOSE;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return CHECK_WEAK;
    default:
        return CHECK_NOT_SIGNED;
    }
}

struct judged {
    struct look *look;
    struct check_file *file;
    X509 *cert;
};

static void tell_judged(void *opaque, X509 *who, int error, const char *text)
{
    struct judged *judged = opaque;
    struct look *look = judged->look;
    char date[DATE_BYTES];

    /* The authority's own faults are told of its own file. */
    for (int i = 0; who != judged->cert && i < sk_X509_num(look->authorities); i++)
        if (X509_cmp(who, sk_X509_value(look->authorities, i)) == 0)
            return;
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        check_tell(look->report, judged->file, CHECK_EXPIRED, "%s, on %s", text,
                   date_text(X509_get0_notAfter(who), date));
    else if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        check_tell(look->report, judged->file, CHECK_NOT_YET_VALID, "%s, but from %s on", text,
                   date_text(X509_get0_notBefore(who), date));
    else
        check_tell(look->report, judged->file, defect_of(error), "%s", text);
}

/* --- the authority ------------------------------------------------------------------------------------------------ */

static void check_authority_certificate(struct look *look, struct check_file *file, X509 *cert)
{
    EVP_PKEY *key = X509_get0_pubkey(cert);
    char date[DATE_BYTES];

    if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
        check_tell(look->report, file, CHECK_EXPIRED, "the certificate has expired, on %s",
                   date_text(X509_get0_notAfter(cert), date));
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        check_tell(look->report, file, CHECK_NOT_YET_VALID, "the certificate is not valid yet, but from %s on",
                   date_text(X509_get0_notBefore(cert), date));
    check_soon(look, file, "the certificate", X509_get0_notBefore(cert), X509_get0_notAfter(cert));
    if (!(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN))
        check_tell(look->report, file, CHECK_PURPOSE, "the certificate may not sign others (key usage)");
    else if (X509_check_ca(cert) != 1)
        check_tell(look->report, file, CHECK_PURPOSE, "the certificate is not that of an authority (no CA:TRUE)");
    if (!key || EVP_PKEY_get_security_bits(key) < BITS_LEAST)
        check_tell(look->report, file, CHECK_WEAK, "the certificate has a key that is too short to be safe");
}

/* Certificates are compared with the public half alone. */
static bool halves_fit(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    int fit = ctx ? EVP_PKEY_pairwise_check(ctx) : 0;

    EVP_PKEY_CTX_free(ctx);
    return fit == 1 || fit == -2; /* -2: a kind that has no such check */
}

/* Whether the key of @file fits @cert, which may be missing. */
static void check_key(struct look *look, struct check_file *file, X509 *cert)
{
    struct ferry_error err = { 0 };
    EVP_PKEY *key = NULL;

    if (pem_read_key(file->path, &key, &err) < 0)
        check_tell_error(look->report, file, &err);
    else if (!halves_fit(key))
        check_tell(look->report, file, CHECK_MALFORMED, "the key is damaged: its two halves do not fit");
    else if (cert && X509_check_private_key(cert, key) != 1)
        check_tell(look->report, file, CHECK_KEY_MISFIT, "the key does not fit the certificate");
    ERR_clear_error();
    EVP_PKEY_free(key);
}

static int check_authority(struct look *look)
{
    int ret = 0;
    struct check_file *file = look_for(look, TLS_SERVER, NAMES_CA, "authority", true, &ret);
    struct ferry_error err = { 0 };

    look->store = X509_STORE_new();
    if (ret < 0 || !look->store)
        return -ENOMEM;
    if (file && pem_read_certificates(file->path, &look->authorities, &err) < 0)
        check_tell_error(look->report, file, &err);
    for (int i = 0; i < sk_X509_num(look->authorities); i++) {
        X509 *cert = sk_X509_value(look->authorities, i);

        if (X509_STORE_add_cert(look->store, cert) != 1)
            return -ENOMEM;
        check_authority_certificate(look, file, cert);
        if (i == 0)
            describe(file, cert);
    }
    file = look_for(look, TLS_SERVER, NAMES_CA_KEY, "authority key", false, &ret);
    if (file)
        check_key(look, file, sk_X509_value(look->authorities, 0));
    return ret;
}

/* Whose list it is, or NULL. */
static X509 *list_issuer(struct look *look)
{
    for (int i = 0; i < sk_X509_num(look->authorities); i++) {
        X509 *cert = sk_X509_value(look->authorities, i);

        if (X509_NAME_cmp(X509_get_subject_name(cert), X509_CRL_get_issuer(look->list)) == 0 &&
            X509_CRL_verify(look->list, X509_get0_pubkey(cert)) == 1)
            return cert;
    }
    return NULL;
}

static int check_list(struct look *look)
{
    int ret = 0;
    struct check_file *file = look_for(look, TLS_SERVER, NAMES_CRL, "revocation list", false, &ret);
    struct ferry_error err = { 0 };
    const ASN1_TIME *from, *until;
    char date[DATE_BYTES];

    if (!file)
        return ret;
    if (pem_read_list(file->path, &look->list, &err) < 0) {
        check_tell_error(look->report, file, &err);
        return ret;
    }
    from = X509_CRL_get0_lastUpdate(look->list);
    until = X509_CRL_get0_nextUpdate(look->list);
    if (look->authorities && !list_issuer(look))
        check_tell(look->report, file, CHECK_NOT_SIGNED, "the list is not of the authority that is here");
    ERR_clear_error();
    if (X509_cmp_current_time(from) > 0)
        check_tell(look->report, file, CHECK_NOT_YET_VALID, "the list is not valid yet, but from %s on",
                   date_text(from, date));
    if (until && X509_cmp_current_time(until) <= 0)
        check_tell(look->report, file, CHECK_EXPIRED, "the list has expired, on %s: nobody is let in",
                   date_text(until, date));
    check_soon(look, file, "the list", from, until);
    snprintf(file->about, sizeof(file->about), "%d revoked", sk_X509_REVOKED_num(X509_CRL_get_REVOKED(look->list)));
    return ret;
}

/* --- server and client -------------------------------------------------------------------------------------------- */

static void check_names(struct look *look, struct check_file *file, X509 *cert)
{
    char names[256];

    authorise_names(cert, names, sizeof(names));
    for (unsigned i = 0; i < look->host_count; i++)
        if (!judge_host(cert, look->hosts[i]))
            check_tell(look->report, file, CHECK_NAME_MISSING, "the certificate is not for '%s', but for %s",
                       look->hosts[i], *names ? names : "no name at all");
}

static int check_certificate(struct look *look, struct check_file *file, enum tls_side side, STACK_OF(X509) * chain)
{
    X509 *cert = sk_X509_value(chain, 0);
    struct judged judged = { look, file, cert };
    X509_REVOKED *entry;
    int ret = 0;

    describe(file, cert);
    check_soon(look, file, "the certificate", X509_get0_notBefore(cert), X509_get0_notAfter(cert));
    if (look->authorities)
        ret = judge_certificate(look->store, cert, chain, side, tell_judged, &judged);
    /* With CA:FALSE, or without the extension: no authority. */
    if (X509_check_ca(cert) == 1)
        check_tell(look->report, file, CHECK_PURPOSE,
                   "the certificate is that of an authority (CA:TRUE), which QEMU "
                   "takes for neither server nor client");
    if (look->list && X509_CRL_get0_by_cert(look->list, &entry, cert) == 1)
        check_tell(look->report, file, CHECK_REVOKED, "the certificate was revoked");
    if (side == TLS_SERVER)
        check_names(look, file, cert);
    return ret < 0 ? ret : 0;
}

static int check_side(struct look *look, enum tls_side side, bool needed)
{
    bool server = side == TLS_SERVER, there = false;
    struct ferry_error err = { 0 };
    STACK_OF(X509) *chain = NULL;
    struct check_file *file;
    const char *missing;
    char *path;
    int ret = 0;

    /* One of the two is missed where the other is. */
    for (int what = NAMES_CERT; what <= NAMES_KEY; what++) {
        path = names_find(look->folder, side, (enum names_what)what, &missing);
        if (path) {
            there = true;
            free(path);
        }
    }
    needed = needed || there;
    file = look_for(look, side, NAMES_CERT, server ? "server" : "client", needed, &ret);
    if (file && pem_read_certificates(file->path, &chain, &err) < 0)
        check_tell_error(look->report, file, &err);
    if (chain)
        ret = check_certificate(look, file, side, chain);
    file = ret == 0 ? look_for(look, side, NAMES_KEY, server ? "server key" : "client key", needed, &ret) : NULL;
    if (file)
        check_key(look, file, sk_X509_value(chain, 0));
    sk_X509_pop_free(chain, X509_free);
    look->report->destination |= server && there;
    look->report->source |= !server && there;
    return ret;
}

/* A folder may be the authority's own; any other is for one side at least. */
static void check_use(struct look *look)
{
    struct check_report *report = look->report;
    const char *missing;
    char *key = names_find(look->folder, TLS_SERVER, NAMES_CA_KEY, &missing);

    if (!key && missing && !report->source && !report->destination)
        check_tell(report, report->files, CHECK_MISSING,
                   "there is a certificate of neither a server (server-cert.pem) nor a client (client-cert.pem)");
    free(key);
}

int check_x509(struct check_report *report, const char *folder, const char *const *hosts, unsigned host_count,
               struct ferry_error *err)
{
    struct look look = { .report = report, .folder = folder, .hosts = hosts, .host_count = host_count };
    int ret = check_authority(&look);

    if (ret == 0)
        ret = check_list(&look);
    if (ret == 0)
        ret = check_side(&look, TLS_SERVER, host_count > 0);
    if (ret == 0)
        ret = check_side(&look, TLS_CLIENT, false);
    if (ret == 0)
        check_use(&look);
    sk_X509_pop_free(look.authorities, X509_free);
    X509_STORE_free(look.store);
    X509_CRL_free(look.list);
    ERR_clear_error();
    return ret < 0 ? ferry_error_set(err, ret, "%s: no memory for a check", folder) : 0;
}
