/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_zlib.c - deflate in zlib's wrapping: a stream per payload, or one over all payloads of a channel
 *
 * ISA-L writes and reads the same format several times as fast as zlib does.  It is used for level 1 and for reading,
 * where this build has it (codec_isal.c); zlib does the rest.
 */
#include "codec_isal.h"
#include "codec_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LEVEL_FAST  1
#define FLUSH_BYTES 16 /* an empty block and what is left of a byte */

struct zlib_encoder {
    z_stream stream;
    struct isal_encoder *isal; /* instead */
};

static void *zlib_encoder_new(const struct codec_terms *terms)
{
    struct zlib_encoder *encoder = calloc(1, sizeof(*encoder));

    if (!encoder)
        return NULL;
    if (terms->level == LEVEL_FAST && isal_is_there()) {
        encoder->isal = isal_encoder_new();
        if (encoder->isal)
            return encoder;
    } else if (deflateInit(&encoder->stream, terms->level) == Z_OK) {
        return encoder;
    }
    free(encoder);
    return NULL;
}

static void zlib_encoder_free(void *state)
{
    struct zlib_encoder *encoder = state;

    if (encoder->isal)
        isal_encoder_free(encoder->isal);
    else
        deflateEnd(&encoder->stream);
    free(encoder);
}

static size_t zlib_bound(const struct codec_terms *terms)
{
    size_t bytes = terms->pages_max * terms->page_bytes;

    return compressBound((uLong)bytes) + bytes / 64 + FLUSH_BYTES + ISAL_ROOM;
}

static ssize_t zlib_encode(void *state, const struct codec_terms *terms, const uint8_t *from,
                           const struct codec_pages *pages, uint8_t *out, size_t room, struct ferry_error *err)
{
    struct zlib_encoder *encoder = state;
    size_t bytes = pages->count * terms->page_bytes;
    bool stream = terms->framing == CODEC_STREAM;
    z_stream *zlib = &encoder->stream;
    int ret;

    if (encoder->isal)
        return isal_encode(encoder->isal, stream, from, bytes, out, room, err);
    if (!stream)
        deflateReset(zlib);
    zlib->next_in = (Bytef *)(uintptr_t)from;
    zlib->avail_in = (uInt)bytes;
    zlib->next_out = out;
    zlib->avail_out = (uInt)room;
    ret = deflate(zlib, stream ? Z_SYNC_FLUSH : Z_FINISH);
    if (ret != (stream ? Z_OK : Z_STREAM_END) || zlib->avail_in > 0 || zlib->avail_out == 0)
        return ferry_error_set(err, -EIO, "zlib did not encode %zu bytes: %s", bytes,
                               zlib->msg ? zlib->msg : "no room");
    return (ssize_t)(room - zlib->avail_out);
}

struct zlib_decoder {
    z_stream stream;
    struct isal_decoder *isal; /* instead */
};

static void *zlib_decoder_new(const struct codec_terms *terms)
{
    struct zlib_decoder *decoder = calloc(1, sizeof(*decoder));

    if (!decoder)
        return NULL;
    if (isal_is_there()) {
        decoder->isal = isal_decoder_new();
        if (decoder->isal)
            return decoder;
    } else if (inflateInit(&decoder->stream) == Z_OK) {
        return decoder;
    }
    free(decoder);
    return NULL;
}

static void zlib_decoder_free(void *state)
{
    struct zlib_decoder *decoder = state;

    if (decoder->isal)
        isal_decoder_free(decoder->isal);
    else
        inflateEnd(&decoder->stream);
    free(decoder);
}

/* One byte more than is wanted: what follows the last page is read to its end, and must give nothing. */
static int inflate_all(z_stream *zlib, const uint8_t *in, size_t in_bytes, uint8_t *to, size_t bytes)
{
    uint8_t spare;
    int ret;

    zlib->next_in = (Bytef *)(uintptr_t)in;
    zlib->avail_in = (uInt)in_bytes;
    zlib->next_out = to;
    zlib->avail_out = (uInt)bytes;
    ret = inflate(zlib, Z_SYNC_FLUSH);
    if (zlib->avail_out > 0)
        return ret < 0 ? ret : Z_BUF_ERROR;
    if (ret != Z_OK)
        return ret;
    zlib->next_out = &spare;
    zlib->avail_out = 1;
    ret = inflate(zlib, Z_SYNC_FLUSH);
    return zlib->avail_out == 0 ? Z_DATA_ERROR : ret == Z_BUF_ERROR ? Z_OK : ret;
}

static int zlib_decode(void *state, const struct codec_terms *terms, const uint8_t *in, size_t in_bytes, uint8_t *to,
                       size_t bytes, struct ferry_error *err)
{
    struct zlib_decoder *decoder = state;
    bool stream = terms->framing == CODEC_STREAM;
    z_stream *zlib = &decoder->stream;
    int ret;

    if (decoder->isal)
        return isal_decode(decoder->isal, stream, in, in_bytes, to, bytes, err);
    if (!stream)
        inflateReset(zlib);
    ret = inflate_all(zlib, in, in_bytes, to, bytes);
    if (ret == (stream ? Z_OK : Z_STREAM_END) && zlib->avail_in == 0)
        return 0;
    return ferry_error_set(err, -EPROTO, "%zu bytes of zlib are not %zu bytes of pages%s%s", in_bytes, bytes,
                           zlib->msg ? ": " : "", zlib->msg ? zlib->msg : "");
}

const struct codec_ops codec_zlib = {
    .level_least = Z_NO_COMPRESSION,
    .level_most = Z_BEST_COMPRESSION,
    .level_default = LEVEL_FAST,
    .streams = true,
    .encoder_new = zlib_encoder_new,
    .encoder_free = zlib_encoder_free,
    .bound = zlib_bound,
    .encode = zlib_encode,
    .decoder_new = zlib_decoder_new,
    .decoder_free = zlib_decoder_free,
    .decode = zlib_decode,
};
