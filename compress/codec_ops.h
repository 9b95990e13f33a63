/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_ops.h - what a codec is made of
 *
 * codec.c checks, and copies pages that a guest may be writing; a codec sees memory that stays as it is.
 */
#ifndef COMPRESS_CODEC_OPS_H
#define COMPRESS_CODEC_OPS_H

#include "codec.h"

struct codec_ops {
    int level_least, level_most, level_default; /* terms->level is one of them in all that follows */
    bool streams;                               /* can be CODEC_STREAM */
    bool deltas;                                /* needs to be told which page is which */

    /* Each returns its own state, or NULL: no memory. */
    void *(*encoder_new)(const struct codec_terms *terms);
    void (*encoder_free)(void *state);
    size_t (*bound)(const struct codec_terms *terms);
    /* @from: the pages, one after the other.  Bytes put into @out, of @room; or a negative errno, with @err set. */
    ssize_t (*encode)(void *state, const struct codec_terms *terms, const uint8_t *from,
                      const struct codec_pages *pages, uint8_t *out, size_t room, struct ferry_error *err);

    /* Deltas; else NULL. */
    void (*forget)(void *state, const struct codec_pages *pages);
    void (*learn)(void *state, const uint8_t *from, const struct codec_pages *pages);
    unsigned (*knows)(const void *state, const struct codec_pages *pages);

    void *(*decoder_new)(const struct codec_terms *terms);
    void (*decoder_free)(void *state);
    /* All of @in becomes @bytes at @to; -EPROTO otherwise, with @err set. */
    int (*decode)(void *state, const struct codec_terms *terms, const uint8_t *in, size_t in_bytes, uint8_t *to,
                  size_t bytes, struct ferry_error *err);
    /* Deltas: in place.  Instead of decode. */
    int (*apply)(void *state, const uint8_t *in, size_t in_bytes, const struct codec_pages *pages,
                 struct ferry_error *err);
};

extern const struct codec_ops codec_zlib, codec_zstd, codec_lz4, codec_xbzrle;

#endif
