/* SPDX-License-Identifier: BSD-3-Clause */
/* bare_codec.c - the compression libraries themselves, called with one piece of memory */
#include "bare_codec.h"

#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define LEVEL_FAST 1

/* ---- zlib's format ----------------------------------------------------------------------------------------------- */

#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>

static bool fast_deflate(const struct bare_codec *bare)
{
    return bare->id == CODEC_ZLIB && bare->level <= LEVEL_FAST;
}

static size_t isal_out(void *room_of_level, const uint8_t *from, size_t bytes, uint8_t *out, size_t room)
{
    struct isal_zstream stream;

    isal_deflate_stateless_init(&stream);
    stream.level = 1;
    stream.level_buf = room_of_level;
    stream.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    stream.gzip_flag = IGZIP_ZLIB;
    stream.end_of_stream = 1;
    stream.next_in = (uint8_t *)(uintptr_t)from;
    stream.avail_in = (uint32_t)bytes;
    stream.next_out = out;
    stream.avail_out = (uint32_t)room;
    return isal_deflate_stateless(&stream) == COMP_OK ? stream.total_out : 0;
}

static void *inflate_new(void)
{
    return malloc(sizeof(struct inflate_state));
}

static void inflate_free(void *state)
{
    free(state);
}

static bool inflate_one(void *state, const uint8_t *in, size_t in_bytes, uint8_t *to, size_t bytes)
{
    struct inflate_state *inflate = state;

    isal_inflate_init(inflate);
    inflate->crc_flag = ISAL_ZLIB;
    inflate->next_in = (uint8_t *)(uintptr_t)in;
    inflate->avail_in = (uint32_t)in_bytes;
    inflate->next_out = to;
    inflate->avail_out = (uint32_t)bytes;
    return isal_inflate(inflate) == ISAL_DECOMP_OK && inflate->total_out == bytes;
}

static void *fast_new(void)
{
    return malloc(ISAL_DEF_LVL1_DEFAULT);
}
#else
static bool fast_deflate(const struct bare_codec *bare)
{
    return false;
}

static size_t isal_out(void *room_of_level, const uint8_t *from, size_t bytes, uint8_t *out, size_t room)
{
    return 0;
}

static void *fast_new(void)
{
    return NULL;
}

static void *inflate_new(void)
{
    z_stream *zlib = calloc(1, sizeof(*zlib));

    if (zlib && inflateInit(zlib) == Z_OK)
        return zlib;
    free(zlib);
    return NULL;
}

static void inflate_free(void *state)
{
    if (state)
        inflateEnd(state);
    free(state);
}

static bool inflate_one(void *state, const uint8_t *in, size_t in_bytes, uint8_t *to, size_t bytes)
{
    z_stream *zlib = state;

    inflateReset(zlib);
    zlib->next_in = (Bytef *)(uintptr_t)in;
    zlib->avail_in = (uInt)in_bytes;
    zlib->next_out = to;
    zlib->avail_out = (uInt)bytes;
    return inflate(zlib, Z_FINISH) == Z_STREAM_END && zlib->avail_out == 0;
}
#endif

static void *deflate_new(int level)
{
    z_stream *zlib = calloc(1, sizeof(*zlib));

    if (zlib && deflateInit(zlib, level) == Z_OK)
        return zlib;
    free(zlib);
    return NULL;
}

static size_t deflate_one(z_stream *zlib, const uint8_t *from, size_t bytes, uint8_t *out, size_t room)
{
    deflateReset(zlib);
    zlib->next_in = (Bytef *)(uintptr_t)from;
    zlib->avail_in = (uInt)bytes;
    zlib->next_out = out;
    zlib->avail_out = (uInt)room;
    return deflate(zlib, Z_FINISH) == Z_STREAM_END ? room - zlib->avail_out : 0;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

int bare_codec_open(struct bare_codec *bare, enum codec_id id, int level, struct ferry_error *err)
{
    *bare = (struct bare_codec){ .id = id, .level = level };
    if (id == CODEC_ZLIB) {
        bare->out = fast_deflate(bare) ? fast_new() : deflate_new(level);
        bare->in = inflate_new();
    } else if (id == CODEC_ZSTD) {
        bare->out = ZSTD_createCCtx();
        bare->in = ZSTD_createDCtx();
    } else {
        bare->out = malloc((size_t)(level <= LEVEL_FAST ? LZ4_sizeofState() : LZ4_sizeofStateHC()));
        bare->in = malloc(1);
    }
    if (bare->out && bare->in)
        return 0;
    bare_codec_close(bare);
    return ferry_error_set(err, -ENOMEM, "no memory for %s", codec_name(id));
}

void bare_codec_close(struct bare_codec *bare)
{
    if (bare->id == CODEC_ZSTD) {
        ZSTD_freeCCtx(bare->out);
        ZSTD_freeDCtx(bare->in);
    } else {
        if (bare->id == CODEC_ZLIB && !fast_deflate(bare) && bare->out)
            deflateEnd(bare->out);
        free(bare->out);
        if (bare->id == CODEC_ZLIB)
            inflate_free(bare->in);
        else
            free(bare->in);
    }
    bare->out = bare->in = NULL;
}

static size_t lz4_one(const struct bare_codec *bare, const uint8_t *from, size_t bytes, uint8_t *out, size_t room)
{
    int done = bare->level <= LEVEL_FAST
                   ? LZ4_compress_fast_extState(bare->out, (const char *)from, (char *)out, (int)bytes, (int)room, 1)
                   : LZ4_compress_HC_extStateHC(bare->out, (const char *)from, (char *)out, (int)bytes, (int)room,
                                                bare->level);

    return done > 0 ? (size_t)done : 0;
}

size_t bare_encode(struct bare_codec *bare, const uint8_t *from, uint8_t *before, size_t bytes, uint8_t *out,
                   size_t room)
{
    size_t done;

    switch (bare->id) {
    case CODEC_ZLIB:
        return fast_deflate(bare) ? isal_out(bare->out, from, bytes, out, room)
                                  : deflate_one(bare->out, from, bytes, out, room);
    case CODEC_ZSTD:
        done = ZSTD_compressCCtx(bare->out, out, room, from, bytes, bare->level);
        return ZSTD_isError(done) ? 0 : done;
    case CODEC_LZ4:
        return lz4_one(bare, from, bytes, out, room);
    default:
        memcpy(before, from, bytes);
        return memcmp(from, before, bytes) == 0 ? bytes : 0; /* equal, so that all of both is read */
    }
}

bool bare_decode(struct bare_codec *bare, const uint8_t *in, size_t in_bytes, uint8_t *to, size_t bytes)
{
    switch (bare->id) {
    case CODEC_ZLIB:
        return inflate_one(bare->in, in, in_bytes, to, bytes);
    case CODEC_ZSTD:
        return ZSTD_decompressDCtx(bare->in, to, bytes, in, in_bytes) == bytes;
    case CODEC_LZ4:
        return LZ4_decompress_safe((const char *)in, (char *)to, (int)in_bytes, (int)bytes) == (int)bytes;
    default:
        for (size_t at = 0; at + sizeof(uint64_t) <= bytes; at += BARE_CHANGED_EVERY)
            (*(volatile uint64_t *)(volatile void *)(to + at))++;
        return true;
    }
}
