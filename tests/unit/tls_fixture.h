/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_fixture.h - certificates and keys made for one test, and two ends that have shaken hands
 *
 * What goes wrong in here ends the test.
 */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include "tls_channel.h"

#define FIXTURE_HOST "ferry.example.com" /* the name in the server's certificate, beside 127.0.0.1 */

/* What a certificate says; zeroed: good for ten days. */
struct fixture_certificate {
    const char *file;    /* "server": server-cert.pem and server-key.pem */
    const char *subject; /* common name */
    const char *names;   /* "DNS:host,IP:192.0.2.1", or NULL */
    const char *purpose; /* "serverAuth", "clientAuth"; NULL: any */
    int from_days, to_days;
    const char *signer; /* the folder whose authority signs; NULL: the one it goes to */
    bool revoked;       /* by a list that is then there */
};

/* An empty folder; fixture_remove() takes it away with all in it. */
void fixture_folder(char to[64]);
void fixture_remove(const char *folder);

/* ca-cert.pem, and ca-key.pem to sign with. */
void fixture_authority(const char *folder, const char *subject);
void fixture_issue(const char *folder, const struct fixture_certificate *certificate);
void fixture_write(const char *folder, const char *file, const char *text);

/* All that two ends need, of both kinds: authority, server and client certificates, keys.psk with `qemu` and `other`.
 */
void fixture_fill(const char *folder);

struct tls_credentials *fixture_credentials(enum tls_side side, const struct tls_terms *rest);

/* Over two channels, taken on success; either may be NULL afterwards, with its error. */
struct fixture_pair {
    struct ferry_channel *client, *server;
    struct ferry_error client_error, server_error;
};

/* Both ends shake hands, each on its own thread.  @inner: 0 the client's; what is not taken is dropped. */
void fixture_shake(struct fixture_pair *pair, struct ferry_channel *inner[2], struct tls_credentials *client,
                   const char *host, struct tls_credentials *server);

/* The same over a socket pair, which must succeed. */
void fixture_connect(struct fixture_pair *pair, struct tls_credentials *client, struct tls_credentials *server);
void fixture_drop(struct fixture_pair *pair);

#endif
