/* SPDX-License-Identifier: BSD-3-Clause */
/* authorise.c - which of those who can prove who they are may come in */
#include "authorise.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES    256
#define PATTERN_BYTES 512

/* Calls @fn with each pattern until it says yes. */
static bool any_pattern(const char *patterns, bool (*fn)(const char *pattern, const void *opaque), const void *opaque)
{
    char pattern[PATTERN_BYTES];

    while (*patterns) {
        size_t bytes = strcspn(patterns, ";");
        const char *from = patterns;
        size_t used = bytes;

        while (used > 0 && *from == ' ') {
            from++;
            used--;
        }
        while (used > 0 && from[used - 1] == ' ')
            used--;
        if (used > 0 && used < sizeof(pattern)) {
            memcpy(pattern, from, used);
            pattern[used] = '\0';
            if (fn(pattern, opaque))
                return true;
        }
        patterns += bytes + (patterns[bytes] == ';');
    }
    return false;
}

/* An ASN.1 string as UTF-8; one with a NUL in it is none.  False where it does not fit. */
static bool text_of(const ASN1_STRING *string, char *to, size_t room)
{
    unsigned char *utf8 = NULL;
    int bytes = string ? ASN1_STRING_to_UTF8(&utf8, string) : -1;
    bool fits = bytes >= 0 && (size_t)bytes < room && !memchr(utf8, 0, (size_t)bytes);

    if (fits) {
        memcpy(to, utf8, (size_t)bytes);
        to[bytes] = '\0';
    }
    OPENSSL_free(utf8);
    return fits;
}

static bool common_name(X509 *certificate, char *to, size_t room)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    return at >= 0 && text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), to, room);
}

/* One alternative name as "DNS:host"; @kind_bytes: of "DNS:". */
static bool name_text(const GENERAL_NAME *name, char to[NAME_BYTES], size_t *kind_bytes)
{
    const char *kind = name->type == GEN_DNS ? "DNS:" : name->type == GEN_URI ? "URI:" : "EMAIL:";

    if (name->type == GEN_IPADD) {
        int bytes = ASN1_STRING_length(name->d.iPAddress);

        *kind_bytes = 3;
        memcpy(to, "IP:", 3);
        return (bytes == 4 || bytes == 16) &&
               inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), to + 3,
                         NAME_BYTES - 3);
    }
    if (name->type != GEN_DNS && name->type != GEN_URI && name->type != GEN_EMAIL)
        return false;
    *kind_bytes = strlen(kind);
    memcpy(to, kind, *kind_bytes);
    return text_of(name->d.ia5, to + *kind_bytes, NAME_BYTES - *kind_bytes);
}

void authorise_subject(X509 *certificate, char *to, size_t room)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *text = NULL;
    long bytes = 0;

    to[0] = '\0';
    if (memory && X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0,
                                     XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
        bytes = BIO_get_mem_data(memory, &text);
    if (bytes > 0)
        snprintf(to, room, "%.*s", (int)bytes, text);
    BIO_free(memory);
}

void authorise_names(X509 *certificate, char *to, size_t room)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char text[NAME_BYTES];
    size_t used = 0, kind_bytes;

    to[0] = '\0';
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        if (!name_text(sk_GENERAL_NAME_value(names, i), text, &kind_bytes) || used + strlen(text) + 3 > room)
            continue;
        used += (size_t)snprintf(to + used, room - used, "%s%s", used ? ", " : "", text);
    }
    if (!used && common_name(certificate, text, sizeof(text)))
        snprintf(to, room, "%s", text);
    GENERAL_NAMES_free(names);
}

static bool matches_alternative(const char *pattern, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char text[NAME_BYTES];
    size_t kind_bytes;
    bool found = false;

    for (int i = 0; names && !found && i < sk_GENERAL_NAME_num(names); i++)
        found = name_text(sk_GENERAL_NAME_value(names, i), text, &kind_bytes) &&
                (!fnmatch(pattern, text, FNM_CASEFOLD) || !fnmatch(pattern, text + kind_bytes, FNM_CASEFOLD));
    GENERAL_NAMES_free(names);
    return found;
}

static bool matches_certificate(const char *pattern, const void *opaque)
{
    X509 *certificate = (X509 *)(uintptr_t)opaque;
    char text[PATTERN_BYTES];

    if (strchr(pattern, '=')) {
        authorise_subject(certificate, text, sizeof(text));
        /* A subject that was cut could match what the whole one would not. */
        return strlen(text) < sizeof(text) - 1 && !fnmatch(pattern, text, 0);
    }
    return (common_name(certificate, text, sizeof(text)) && !fnmatch(pattern, text, FNM_CASEFOLD)) ||
           matches_alternative(pattern, certificate);
}

bool authorise_certificate(const char *patterns, X509 *certificate)
{
    return !patterns || any_pattern(patterns, matches_certificate, certificate);
}

static bool matches_identity(const char *pattern, const void *opaque)
{
    return !fnmatch(pattern, opaque, 0);
}

bool authorise_identity(const char *patterns, const char *identity)
{
    return !patterns || any_pattern(patterns, matches_identity, identity);
}
