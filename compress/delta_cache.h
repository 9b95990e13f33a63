/* SPDX-License-Identifier: BSD-3-Clause */
/* delta_cache.h - copies of pages as the other end has them, for the encoders of deltas of a session
 *
 * Pages have keys, and there is one place for a key, which others share: whoever comes later takes it over.
 * Thread: any, all at once; a place is one thread's between delta_cache_hold() and delta_cache_drop().
 */
#ifndef COMPRESS_DELTA_CACHE_H
#define COMPRESS_DELTA_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define DELTA_CACHE_NO_KEY UINT64_MAX

struct delta_cache;

struct delta_place {
    uint64_t *key; /* whose copy it is; DELTA_CACHE_NO_KEY: nobody's */
    uint8_t *page;
};

/* @bytes: how much memory it may take; 0: 64 MiB.  NULL when out of memory. */
struct delta_cache *delta_cache_new(uint64_t bytes, size_t page_bytes);
void delta_cache_free(struct delta_cache *cache);

/* The place for @key, to be looked at and changed. */
struct delta_place delta_cache_hold(struct delta_cache *cache, uint64_t key);
void delta_cache_drop(struct delta_cache *cache, uint64_t key);

#endif
