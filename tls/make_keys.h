/* SPDX-License-Identifier: BSD-3-Clause */
/* make_keys.h - a file of keys, or an authority with certificates for servers and clients
 *
 * Keys are EC P-256.  A certificate names its hosts as alternative names, may do one thing (serve or ask), and begins
 * an hour ago, since hosts' clocks differ.  QEMU and libvirt (GnuTLS) take them as OpenSSL does.
 */
#ifndef TLS_MAKE_KEYS_H
#define TLS_MAKE_KEYS_H

#include "file_set.h"
#include "names.h"

#define MAKE_DAYS           365
#define MAKE_AUTHORITY_DAYS 3650 /* or as long as a certificate that is made along with it */
#define MAKE_DAYS_MAX       36500

/* All texts are borrowed for the call. */
struct make_terms {
    const char *folder;       /* made where it is not there */
    const char *authority;    /* the folder of one that is there; NULL: one is made in @folder */
    enum names_layout layout; /* for files that are not there yet */
    const char *const *hosts; /* names and addresses of the server, the first also its subject */
    unsigned host_count;      /* 0: no certificate for a server */
    const char *client;       /* its name; NULL: no certificate for a client */
    unsigned days;            /* 1 to MAKE_DAYS_MAX, from now on */
    bool replace;             /* files that are there */
};

/**
 * make_x509() - an authority where none is given, and the certificates that are asked for
 * @made: zeroed; on success the files that were written, for the caller to clear
 *
 * All files are written or, mostly, none: an old one is lost only where @replace was asked for and the disk fails
 * between two renames.
 */
int make_x509(const struct make_terms *terms, struct file_set *made, struct ferry_error *err);

/* 256 random bits in @path, or in keys.psk where it is a folder. */
int make_psk(const char *path, const char *identity, bool replace, struct file_set *made, struct ferry_error *err);

#endif
