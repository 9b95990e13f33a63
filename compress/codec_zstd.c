/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_zstd.c - Zstandard: a frame per payload, or one frame over all payloads of a channel, flushed after each */
#include "codec_ops.h"

#include <errno.h>
#include <zstd.h>

#define WINDOW_LOG_MAX 25 /* what level 20 uses: 32 MiB */

static void *zstd_encoder_new(const struct codec_terms *terms)
{
    ZSTD_CCtx *cctx = ZSTD_createCCtx();

    if (cctx && ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, terms->level))) {
        ZSTD_freeCCtx(cctx);
        return NULL;
    }
    return cctx;
}

static void zstd_encoder_free(void *state)
{
    ZSTD_freeCCtx(state);
}

/* A flushed stream has a block's header more for each 128 KiB, and the frame's once. */
static size_t zstd_bound(const struct codec_terms *terms)
{
    size_t bytes = terms->pages_max * terms->page_bytes;

    return ZSTD_compressBound(bytes) + bytes / (64 << 10) * 4 + 64;
}

static ssize_t zstd_encode(void *state, const struct codec_terms *terms, const uint8_t *from,
                           const struct codec_pages *pages, uint8_t *out, size_t room, struct ferry_error *err)
{
    ZSTD_inBuffer in = { from, pages->count * terms->page_bytes, 0 };
    ZSTD_outBuffer to = { out, room, 0 };
    size_t left;

    if (terms->framing == CODEC_STREAM) {
        left = ZSTD_compressStream2(state, &to, &in, ZSTD_e_flush);
    } else {
        to.pos = ZSTD_compress2(state, out, room, from, in.size);
        left = ZSTD_isError(to.pos) ? to.pos : 0;
    }
    if (ZSTD_isError(left))
        return ferry_error_set(err, -EIO, "zstd: %s", ZSTD_getErrorName(left));
    return left == 0 ? (ssize_t)to.pos : ferry_error_set(err, -EIO, "zstd did not flush everything");
}

static void *zstd_decoder_new(const struct codec_terms *terms)
{
    ZSTD_DCtx *dctx = ZSTD_createDCtx();

    /* Memory for a window is bounded, whatever a frame's header asks for. */
    if (dctx && ZSTD_isError(ZSTD_DCtx_setParameter(dctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        ZSTD_freeDCtx(dctx);
        return NULL;
    }
    return dctx;
}

static void zstd_decoder_free(void *state)
{
    ZSTD_freeDCtx(state);
}

/* Until nothing goes in and nothing comes out any more; then there must be nothing left inside. */
static size_t pump(ZSTD_DCtx *dctx, ZSTD_outBuffer *to, ZSTD_inBuffer *in)
{
    uint8_t byte;
    ZSTD_outBuffer spare = { &byte, 1, 0 };
    size_t left, before;

    do {
        before = in->pos + to->pos;
        left = ZSTD_decompressStream(dctx, to, in);
    } while (!ZSTD_isError(left) && in->pos + to->pos != before && (in->pos < in->size || to->pos < to->size));
    if (!ZSTD_isError(left))
        left = ZSTD_decompressStream(dctx, &spare, in);
    to->pos += spare.pos;
    return left;
}

static int zstd_decode(void *state, const struct codec_terms *terms, const uint8_t *in_bytes_at, size_t in_bytes,
                       uint8_t *to, size_t bytes, struct ferry_error *err)
{
    ZSTD_inBuffer in = { in_bytes_at, in_bytes, 0 };
    ZSTD_outBuffer out = { to, bytes, 0 };
    size_t left;

    if (terms->framing == CODEC_STREAM) {
        left = pump(state, &out, &in);
    } else {
        left = ZSTD_decompressDCtx(state, to, bytes, in_bytes_at, in_bytes);
        out.pos = ZSTD_isError(left) ? 0 : left;
        in.pos = in_bytes;
    }
    if (ZSTD_isError(left))
        return ferry_error_set(err, -EPROTO, "zstd: %s", ZSTD_getErrorName(left));
    if (in.pos != in.size || out.pos != bytes)
        return ferry_error_set(err, -EPROTO, "%zu bytes of zstd are not %zu bytes of pages", in_bytes, bytes);
    return 0;
}

const struct codec_ops codec_zstd = {
    .level_least = 1,
    .level_most = 20,
    .level_default = 1,
    .streams = true,
    .encoder_new = zstd_encoder_new,
    .encoder_free = zstd_encoder_free,
    .bound = zstd_bound,
    .encode = zstd_encode,
    .decoder_new = zstd_decoder_new,
    .decoder_free = zstd_decoder_free,
    .decode = zstd_decode,
};
