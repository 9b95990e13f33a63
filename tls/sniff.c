/* SPDX-License-Identifier: BSD-3-Clause */
/* sniff.c - what the first bytes of a connection are */
#include "sniff.h"

#include <stdint.h>
#include <string.h>

#define TLS_HANDSHAKE 22
#define TLS_ALERT     21

static const struct {
    char first[TLS_SNIFF_BYTES + 1];
    const char *name;
} kinds[] = {
    { "FRHY", "a ferry connection without TLS" },
    { "FRHA", "a ferry answer without TLS" },
    { "QEVM", "a migration stream without TLS" },
    { "\x11\x22\x33\x44", "a page channel without TLS" },
    { "GET ", "an HTTP request" },
    { "POST", "an HTTP request" },
    { "HEAD", "an HTTP request" },
    { "HTTP", "an HTTP answer" },
    { "SSH-", "SSH" },
};

bool tls_sniff_is_tls(const void *first, size_t bytes)
{
    const uint8_t *at = first;

    return bytes >= 3 && (at[0] == TLS_HANDSHAKE || at[0] == TLS_ALERT) && at[1] == 3 && at[2] <= 4;
}

const char *tls_sniff_name(const void *first, size_t bytes)
{
    if (tls_sniff_is_tls(first, bytes))
        return "TLS";
    for (size_t i = 0; bytes >= TLS_SNIFF_BYTES && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!memcmp(first, kinds[i].first, TLS_SNIFF_BYTES))
            return kinds[i].name;
    return "something unknown";
}
