/* SPDX-License-Identifier: BSD-3-Clause */
/* uri.h - where to connect or listen, taken apart */
#ifndef CHANNELS_URI_H
#define CHANNELS_URI_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

enum uri_kind {
    URI_TCP,
    URI_UNIX,
    URI_VSOCK,
    URI_FD,
    URI_EXEC,
    URI_FILE,
};

struct uri {
    enum uri_kind kind;
    char *text;      /* as given, for messages; owned */
    char *name;      /* tcp: host, perhaps empty; unix: path or @name; exec: command; file: path; owned */
    unsigned port;   /* tcp, vsock */
    unsigned cid;    /* vsock; UINT32_MAX when left empty */
    int fd;          /* fd */
    bool ipv4, ipv6; /* tcp: may be used */
    uint64_t offset; /* file */
    bool direct;     /* file */
};

/* Every field is checked against its own bounds, not against the other end.  On failure nothing is left to clear. */
int uri_parse(const char *text, struct uri *uri, struct ferry_error *err);

/* Frees what the fields own; a zeroed struct is legal. */
void uri_clear(struct uri *uri);

#endif
