/* SPDX-License-Identifier: BSD-3-Clause */
/* secure.c - what the connections of a session are wrapped in: nothing, or TLS */
#include "secure.h"

#include "credentials.h"
#include "deadline.h"
#include "sniff.h"
#include "tls_channel.h"
#include "uri.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static bool has(const char *folder, const char *name)
{
    char path[OPTION_TEXT_BYTES + 16];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* A file of keys, or a folder that has one and no authority. */
static bool is_psk(const char *path)
{
    struct stat stat_buf;

    if (stat(path, &stat_buf) == 0 && !S_ISDIR(stat_buf.st_mode))
        return true;
    return has(path, "keys.psk") && !has(path, "ca-cert.pem") && !has(path, "cacert.pem");
}

int secure_open(struct secure *secure, const struct ferry_options *options, enum ferry_side side,
                struct ferry_error *err)
{
    bool psk = is_psk(options->tls_creds);
    struct tls_terms terms = {
        .side = side == FERRY_SIDE_SOURCE ? TLS_CLIENT : TLS_SERVER,
        .folder = psk ? NULL : options->tls_creds,
        .psk = psk ? options->tls_creds : NULL,
        .identity = text_or_null(options->tls_identity),
        .no_verify = !options->tls_verify,
        .hostname = text_or_null(options->tls_hostname),
        .authorise = text_or_null(options->tls_authz),
        .least = options->tls_min == TLS_MIN_1_2 ? TLS_LEAST_1_2 : TLS_LEAST_1_3,
        .ciphers = text_or_null(options->tls_ciphers),
    };
    struct ferry_error why = { 0 };

    secure->creds = NULL;
    if (!options->tls_creds[0])
        return 0;
    secure->creds = tls_credentials_new(&terms, &why);
    if (secure->creds)
        return 0;
    if (err)
        *err = why;
    return why.errnum;
}

int secure_bind(struct secure *secure, const struct secure *from, struct ferry_channel *main, struct ferry_error *err)
{
    struct tls_facts facts;

    secure->creds = NULL;
    if (!from->creds)
        return 0;
    tls_channel_facts(main, &facts);
    if (strcmp(facts.version, "1.3")) {
        secure->creds = tls_credentials_ref(from->creds); /* there is no such key: they shake hands in full */
        return 0;
    }
    secure->creds = tls_channel_bound(main, err);
    return secure->creds ? 0 : err && err->errnum ? err->errnum : -1;
}

void secure_close(struct secure *secure)
{
    tls_credentials_unref(secure->creds);
    secure->creds = NULL;
}

bool secure_is_on(const struct secure *secure)
{
    return secure->creds;
}

struct ferry_channel *secure_wrap(const struct secure *secure, struct ferry_channel *chan, const char *uri,
                                  struct watchdog *dog, int64_t until_ns, struct ferry_error *err)
{
    struct deadline deadline = { 0 };
    struct ferry_error why = { 0 };
    struct ferry_channel *wrapped;
    struct uri parts = { 0 };
    int ret;

    if (!secure || !secure->creds)
        return chan;
    if (uri && uri_parse(uri, &parts, NULL) < 0)
        memset(&parts, 0, sizeof(parts));
    deadline_begin(&deadline, dog, chan, FERRY_READ_WRITE, until_ns);
    wrapped = tls_channel_new(chan, secure->creds, parts.kind == URI_TCP ? parts.name : NULL, &why);
    ret = deadline_end(&deadline, wrapped ? 0 : why.errnum, "the TLS handshake was not done in time", &why);
    uri_clear(&parts);
    if (ret == 0)
        return wrapped;
    if (err)
        *err = why;
    if (wrapped)
        ferry_channel_ref(chan); /* it stays the caller's */
    ferry_channel_unref(wrapped);
    return NULL;
}

bool secure_belongs(const struct ferry_channel *chan, const struct ferry_channel *main)
{
    struct tls_facts facts, of_main;

    if (!tls_channel_is(chan) || !tls_channel_is(main))
        return tls_channel_is(chan) == tls_channel_is(main);
    tls_channel_facts(chan, &facts);
    tls_channel_facts(main, &of_main);
    return tls_channel_is_of(chan, main) || (!strcmp(of_main.version, "1.2") && !strcmp(facts.peer, of_main.peer));
}

int secure_wanted(const struct ferry_channel *chan, const uint8_t first[HELLO_PEEK_BYTES], struct ferry_error *err)
{
    const char *label = ferry_channel_label(chan);

    if (tls_channel_is(chan) || !tls_sniff_is_tls(first, HELLO_PEEK_BYTES))
        return 0;
    ferry_error_set_code(err, FERRY_E_TLS_EXPECTED, -EPROTO, "%s: TLS came, and this end has no credentials", label);
    ferry_error_object(err, "%s", label);
    return -EPROTO;
}

void secure_forgive_end(struct ferry_channel *chan)
{
    if (tls_channel_is(chan))
        tls_channel_forgive_end(chan);
}

static const char *proof_name(enum tls_proof proof)
{
    switch (proof) {
    case TLS_PROOF_CERTIFICATE:
        return "certificate";
    case TLS_PROOF_PSK:
        return "psk";
    default:
        return "session";
    }
}

void secure_facts(const struct ferry_channel *chan, struct ferry_channel_stats *stats)
{
    struct tls_facts facts;

    if (!tls_channel_is(chan))
        return;
    tls_channel_facts(chan, &facts);
    snprintf(stats->tls_version, sizeof(stats->tls_version), "%s", facts.version);
    snprintf(stats->tls_cipher, sizeof(stats->tls_cipher), "%s", facts.cipher);
    snprintf(stats->tls_proof, sizeof(stats->tls_proof), "%s", proof_name(facts.proof));
    stats->tls_by_kernel = facts.kernel;
}
