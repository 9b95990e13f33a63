/* SPDX-License-Identifier: BSD-3-Clause */
/* binding.h - the key that ties further connections to their session's main one
 *
 * Both ends export it from the main connection's handshake.  A client offers it as an external PSK of TLS 1.3, with
 * fresh key exchange; a server finds it by its name among those of the main connections that are open.
 */
#ifndef TLS_BINDING_H
#define TLS_BINDING_H

#include "suite.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define BINDING_IDENTITY_BYTES 48

struct binding {
    atomic_uint refs;
    const struct suite *suite; /* of the main connection: its hash goes with the key */
    char identity[BINDING_IDENTITY_BYTES];
    uint8_t key[48];
    size_t key_bytes;
    char peer[128];       /* whom the main connection belongs to */
    struct binding *next; /* under the table's lock; the table has a reference */
};

struct binding_table {
    pthread_mutex_t lock;
    struct binding *first;
};

/* Exports it from a finished handshake of TLS 1.3.  Returns one reference, or NULL. */
struct binding *binding_new(SSL *ssl, const struct suite *suite, const char *peer);

struct binding *binding_ref(struct binding *binding);
void binding_unref(struct binding *binding); /* NULL is legal */

/* As a session of OpenSSL's, the caller's; NULL: no memory, or this build does not have the cipher. */
SSL_SESSION *binding_session(SSL *ssl, const char *tls13_cipher, const uint8_t *key, size_t key_bytes);

void binding_table_init(struct binding_table *table);
void binding_table_clear(struct binding_table *table);
void binding_table_add(struct binding_table *table, struct binding *binding); /* refers to it */
void binding_table_remove(struct binding_table *table, struct binding *binding);
/* One reference, or NULL. */
struct binding *binding_table_find(struct binding_table *table, const void *identity, size_t bytes);

#endif
