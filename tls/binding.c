/* SPDX-License-Identifier: BSD-3-Clause */
/* binding.c - the key that ties further connections to their session's main one */
#include "binding.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_NAME "EXPERIMENTAL-ferry-session-name"
#define LABEL_KEY  "EXPERIMENTAL-ferry-session-key"
#define PREFIX     "ferry-"
#define NAME_BYTES 16

static bool export_key(SSL *ssl, const char *label, uint8_t *to, size_t bytes)
{
    return SSL_export_keying_material(ssl, to, bytes, label, strlen(label), NULL, 0, 0) == 1;
}

struct binding *binding_new(SSL *ssl, const struct suite *suite, const char *peer)
{
    struct binding *binding = calloc(1, sizeof(*binding));
    uint8_t name[NAME_BYTES];
    size_t used = sizeof(PREFIX) - 1;

    if (!binding)
        return NULL;
    atomic_init(&binding->refs, 1);
    binding->suite = suite;
    binding->key_bytes = suite->sha384 ? 48 : 32;
    snprintf(binding->peer, sizeof(binding->peer), "%s", peer);
    if (!export_key(ssl, LABEL_NAME, name, sizeof(name)) ||
        !export_key(ssl, LABEL_KEY, binding->key, binding->key_bytes)) {
        binding_unref(binding);
        return NULL;
    }
    memcpy(binding->identity, PREFIX, used);
    for (size_t i = 0; i < sizeof(name); i++)
        used += (size_t)snprintf(binding->identity + used, sizeof(binding->identity) - used, "%02x", name[i]);
    return binding;
}

struct binding *binding_ref(struct binding *binding)
{
    atomic_fetch_add_explicit(&binding->refs, 1, memory_order_relaxed);
    return binding;
}

void binding_unref(struct binding *binding)
{
    if (!binding || atomic_fetch_sub_explicit(&binding->refs, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(binding->key, sizeof(binding->key));
    free(binding);
}

static const SSL_CIPHER *cipher_named(SSL *ssl, const char *name)
{
    STACK_OF(SSL_CIPHER) *ciphers = SSL_get_ciphers(ssl);

    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
        if (!strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i)), name))
            return sk_SSL_CIPHER_value(ciphers, i);
    return NULL;
}

SSL_SESSION *binding_session(SSL *ssl, const char *tls13_cipher, const uint8_t *key, size_t key_bytes)
{
    const SSL_CIPHER *cipher = cipher_named(ssl, tls13_cipher);
    SSL_SESSION *session = cipher ? SSL_SESSION_new() : NULL;

    if (session && SSL_SESSION_set1_master_key(session, key, key_bytes) == 1 &&
        SSL_SESSION_set_cipher(session, cipher) == 1 && SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

void binding_table_init(struct binding_table *table)
{
    table->first = NULL;
    pthread_mutex_init(&table->lock, NULL);
}

void binding_table_clear(struct binding_table *table)
{
    while (table->first)
        binding_table_remove(table, table->first);
    pthread_mutex_destroy(&table->lock);
}

void binding_table_add(struct binding_table *table, struct binding *binding)
{
    pthread_mutex_lock(&table->lock);
    binding->next = table->first;
    table->first = binding_ref(binding);
    pthread_mutex_unlock(&table->lock);
}

void binding_table_remove(struct binding_table *table, struct binding *binding)
{
    struct binding **at;
    bool found;

    pthread_mutex_lock(&table->lock);
    for (at = &table->first; *at && *at != binding; at = &(*at)->next)
        ;
    found = *at;
    if (found)
        *at = binding->next;
    pthread_mutex_unlock(&table->lock);
    if (found)
        binding_unref(binding);
}

struct binding *binding_table_find(struct binding_table *table, const void *identity, size_t bytes)
{
    struct binding *found;

    pthread_mutex_lock(&table->lock);
    for (found = table->first; found; found = found->next)
        if (strlen(found->identity) == bytes && !memcmp(found->identity, identity, bytes))
            break;
    if (found)
        binding_ref(found);
    pthread_mutex_unlock(&table->lock);
    return found;
}
