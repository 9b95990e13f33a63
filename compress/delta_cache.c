/* SPDX-License-Identifier: BSD-3-Clause */
/* delta_cache.c - copies of pages as the other end has them, for the encoders of deltas of a session
 *
 *      key      0   1   2   3 | 0 taken over by 4   ...      neighbours lie side by side
 *      lock     0   1   2   3 ...  63   0   1                one of 64: threads that are at different pages rarely meet
 */
#include "delta_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_DEFAULT (UINT64_C(64) << 20)
#define LOCKS         64
#define SPREAD        UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / the golden ratio: keys that differ above fall far apart */

struct delta_cache {
    size_t page_bytes;
    uint64_t places; /* a power of two */
    uint64_t *key;
    uint8_t *page;
    pthread_mutex_t lock[LOCKS]; /* leaves; each guards the places whose number it has, by remainder */
};

struct delta_cache *delta_cache_new(uint64_t bytes, size_t page_bytes)
{
    struct delta_cache *cache = calloc(1, sizeof(*cache));
    uint64_t most = bytes ? bytes : BYTES_DEFAULT;

    if (!cache)
        return NULL;
    cache->page_bytes = page_bytes;
    for (cache->places = 1; cache->places * 2 * page_bytes <= most;)
        cache->places *= 2;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->lock[i], NULL);
    cache->key = malloc(cache->places * sizeof(*cache->key));
    cache->page = malloc(cache->places * page_bytes);
    if (!cache->key || !cache->page) {
        delta_cache_free(cache);
        return NULL;
    }
    memset(cache->key, 0xff, cache->places * sizeof(*cache->key));
    return cache;
}

void delta_cache_free(struct delta_cache *cache)
{
    if (!cache)
        return;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->lock[i]);
    free(cache->key);
    free(cache->page);
    free(cache);
}

static uint64_t place_of(const struct delta_cache *cache, uint64_t key)
{
    return (key + ((key >> 32) * SPREAD >> 32)) & (cache->places - 1);
}

struct delta_place delta_cache_hold(struct delta_cache *cache, uint64_t key)
{
    uint64_t place = place_of(cache, key);

    pthread_mutex_lock(&cache->lock[place % LOCKS]);
    return (struct delta_place){ cache->key + place, cache->page + place * cache->page_bytes };
}

void delta_cache_drop(struct delta_cache *cache, uint64_t key)
{
    pthread_mutex_unlock(&cache->lock[place_of(cache, key) % LOCKS]);
}
