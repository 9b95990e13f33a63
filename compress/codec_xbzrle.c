/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_xbzrle.c - pages as their difference from what the other end has
 *
 *      payload = for each page: be16 bytes, then the delta     0: nothing changed     0xffff: the page itself
 *
 * The encoder keeps what it sent in a table with one place per page key, neighbours side by side; a page that finds
 * another in its place takes it over and goes out whole.
 */
#include "bytes.h"
#include "codec_ops.h"
#include "delta_cache.h"
#include "xbzrle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 2
#define WHOLE      0xffffu

struct delta_encoder {
    struct delta_cache *cache;
    bool owns; /* the cache */
};

static void xbzrle_encoder_free(void *state)
{
    struct delta_encoder *encoder = state;

    if (encoder->owns)
        delta_cache_free(encoder->cache);
    free(encoder);
}

static void *xbzrle_encoder_new(const struct codec_terms *terms)
{
    struct delta_encoder *encoder = calloc(1, sizeof(*encoder));

    if (!encoder)
        return NULL;
    encoder->owns = !terms->cache;
    encoder->cache = terms->cache ? terms->cache : delta_cache_new(terms->cache_bytes, terms->page_bytes);
    if (encoder->cache)
        return encoder;
    xbzrle_encoder_free(encoder);
    return NULL;
}

static size_t xbzrle_bound(const struct codec_terms *terms)
{
    return terms->pages_max * (terms->page_bytes + HEAD_BYTES);
}

static size_t put_page(struct delta_encoder *encoder, const uint8_t *page, uint64_t key, size_t bytes, uint8_t *out)
{
    struct delta_place place = delta_cache_hold(encoder->cache, key);
    bool known = *place.key == key;
    int delta = known ? xbzrle_encode(place.page, page, bytes, out + HEAD_BYTES, bytes - 1) : -ENOSPC;
    bool whole = delta < 0;

    if (whole) {
        memcpy(out + HEAD_BYTES, page, bytes);
        memcpy(place.page, page, bytes);
        *place.key = key;
    } else {
        xbzrle_decode(out + HEAD_BYTES, (size_t)delta, place.page, bytes, NULL);
    }
    delta_cache_drop(encoder->cache, key);
    store_be16(out, (uint16_t)(whole ? WHOLE : (unsigned)delta));
    return HEAD_BYTES + (whole ? bytes : (size_t)delta);
}

static ssize_t xbzrle_encode_pages(void *state, const struct codec_terms *terms, const uint8_t *from,
                                   const struct codec_pages *pages, uint8_t *out, size_t room, struct ferry_error *err)
{
    size_t used = 0;

    for (unsigned i = 0; i < pages->count; i++)
        used += put_page(state, from + i * terms->page_bytes, pages->key[i], terms->page_bytes, out + used);
    return (ssize_t)used;
}

static void xbzrle_forget(void *state, const struct codec_pages *pages)
{
    struct delta_encoder *encoder = state;

    for (unsigned i = 0; i < pages->count; i++) {
        struct delta_place place = delta_cache_hold(encoder->cache, pages->key[i]);

        if (*place.key == pages->key[i])
            *place.key = DELTA_CACHE_NO_KEY;
        delta_cache_drop(encoder->cache, pages->key[i]);
    }
}

static void xbzrle_learn(void *state, const uint8_t *from, const struct codec_pages *pages)
{
    struct delta_encoder *encoder = state;

    for (unsigned i = 0; i < pages->count; i++) {
        struct delta_place place = delta_cache_hold(encoder->cache, pages->key[i]);

        memcpy(place.page, from + i * pages->page_bytes, pages->page_bytes);
        *place.key = pages->key[i];
        delta_cache_drop(encoder->cache, pages->key[i]);
    }
}

static unsigned xbzrle_knows(const void *state, const struct codec_pages *pages)
{
    const struct delta_encoder *encoder = state;
    unsigned known = 0;

    for (unsigned i = 0; i < pages->count; i++) {
        known += *delta_cache_hold(encoder->cache, pages->key[i]).key == pages->key[i];
        delta_cache_drop(encoder->cache, pages->key[i]);
    }
    return known;
}

static void *xbzrle_decoder_new(const struct codec_terms *terms)
{
    return malloc(1);
}

static int get_page(const uint8_t *in, size_t left, uint8_t *page, size_t bytes, size_t *used, struct ferry_error *err)
{
    size_t delta = left < HEAD_BYTES ? 0 : load_be16(in);

    *used = HEAD_BYTES + (delta == WHOLE ? bytes : delta);
    if (left < HEAD_BYTES || *used > left)
        return ferry_error_set(err, -EPROTO, "a delta of a page is cut off");
    if (delta == WHOLE)
        memcpy(page, in + HEAD_BYTES, bytes);
    return delta == WHOLE || delta == 0 ? 0 : xbzrle_decode(in + HEAD_BYTES, delta, page, bytes, err);
}

static int xbzrle_apply(void *state, const uint8_t *in, size_t in_bytes, const struct codec_pages *pages,
                        struct ferry_error *err)
{
    size_t at = 0, used;

    for (unsigned i = 0; i < pages->count; i++) {
        int ret = get_page(in + at, in_bytes - at, pages->page[i], pages->page_bytes, &used, err);

        if (ret < 0)
            return ret;
        at += used;
    }
    return at == in_bytes ? 0 : ferry_error_set(err, -EPROTO, "%zu bytes behind the last delta", in_bytes - at);
}

const struct codec_ops codec_xbzrle = {
    .level_least = 0,
    .level_most = 0,
    .deltas = true,
    .encoder_new = xbzrle_encoder_new,
    .encoder_free = xbzrle_encoder_free,
    .bound = xbzrle_bound,
    .encode = xbzrle_encode_pages,
    .forget = xbzrle_forget,
    .learn = xbzrle_learn,
    .knows = xbzrle_knows,
    .decoder_new = xbzrle_decoder_new,
    .decoder_free = free,
    .apply = xbzrle_apply,
};
