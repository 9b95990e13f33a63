/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_lz4.c - LZ4 blocks: little gained, at little cost */
#include "codec_ops.h"

#include <errno.h>
#include <inttypes.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>

#define LEVEL_FAST 1 /* from 2 on: the thorough way, at that level */

static void *lz4_encoder_new(const struct codec_terms *terms)
{
    return malloc((size_t)(terms->level <= LEVEL_FAST ? LZ4_sizeofState() : LZ4_sizeofStateHC()));
}

static size_t lz4_bound(const struct codec_terms *terms)
{
    return (size_t)LZ4_compressBound((int)(terms->pages_max * terms->page_bytes));
}

static ssize_t lz4_encode(void *state, const struct codec_terms *terms, const uint8_t *from,
                          const struct codec_pages *pages, uint8_t *out, size_t room, struct ferry_error *err)
{
    int bytes = (int)(pages->count * terms->page_bytes), done;

    if (terms->level <= LEVEL_FAST)
        done = LZ4_compress_fast_extState(state, (const char *)from, (char *)out, bytes, (int)room, 1);
    else
        done = LZ4_compress_HC_extStateHC(state, (const char *)from, (char *)out, bytes, (int)room, terms->level);
    return done > 0 ? done : ferry_error_set(err, -EIO, "lz4 did not encode %d bytes", bytes);
}

/* It needs no state. */
static void *lz4_decoder_new(const struct codec_terms *terms)
{
    return malloc(1);
}

static int lz4_decode(void *state, const struct codec_terms *terms, const uint8_t *in, size_t in_bytes, uint8_t *to,
                      size_t bytes, struct ferry_error *err)
{
    int done = LZ4_decompress_safe((const char *)in, (char *)to, (int)in_bytes, (int)bytes);

    if (done >= 0 && (size_t)done == bytes)
        return 0;
    return ferry_error_set(err, -EPROTO, "%zu bytes of lz4 are not %zu bytes of pages", in_bytes, bytes);
}

const struct codec_ops codec_lz4 = {
    .level_least = 1,
    .level_most = LZ4HC_CLEVEL_MAX,
    .level_default = LEVEL_FAST,
    .encoder_new = lz4_encoder_new,
    .encoder_free = free,
    .bound = lz4_bound,
    .encode = lz4_encode,
    .decoder_new = lz4_decoder_new,
    .decoder_free = free,
    .decode = lz4_decode,
};
