/* SPDX-License-Identifier: BSD-3-Clause */
/* codec.h - turns the pages of a batch into fewer bytes and back
 *
 *      pages --encoder_encode--> payload --decoder_decode--> pages
 *
 * Memory in, memory out: no I/O, no clock.  A page may be written by its guest while it is encoded: what then comes out
 * at the other end is some mixture of old and new, but the payload is always well formed.
 *
 * FRAMED: each payload stands by itself (ferry packets).  STREAM: one stream over all payloads of a channel, flushed at
 * the end of each (QEMU's multifd, docs/protocol.md).
 *
 * An encoder or decoder belongs to one thread at a time.
 */
#ifndef COMPRESS_CODEC_H
#define COMPRESS_CODEC_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* On the wire of ferry packets; never reused. */
enum codec_id {
    CODEC_NONE = 0,
    CODEC_ZLIB = 1,
    CODEC_ZSTD = 2,
    CODEC_LZ4 = 3,
    CODEC_XBZRLE = 4,
    CODEC_COUNT,
    CODEC_AUTO = 0x100, /* not on the wire: judged batch by batch */
};

/* Level 0 is everybody's. */
bool codec_has_level(enum codec_id id, int level);

enum codec_framing {
    CODEC_FRAMED,
    CODEC_STREAM, /* zlib and zstd only */
};

/* "none", "zlib", ...; "?" for what is none of them. */
const char *codec_name(enum codec_id id);

/* The pages of one batch. */
struct codec_pages {
    uint8_t *const *page; /* their addresses; the decoder writes there */
    const uint64_t *key;  /* what tells a page from all others, for as long as the encoder lives (xbzrle); else NULL */
    unsigned count;
    size_t page_bytes;
};

#define CODEC_LEVEL_ZERO (-1) /* level 0 of zlib: wrapped, not compressed */

struct codec_terms {
    enum codec_id id;
    enum codec_framing framing;
    int level;          /* 0: the codec's own default; CODEC_LEVEL_ZERO; of no matter to a decoder */
    unsigned pages_max; /* of one batch */
    size_t page_bytes;
    uint64_t cache_bytes;      /* xbzrle: how much memory of sent pages an encoder may keep; 0: 64 MiB */
    struct delta_cache *cache; /* xbzrle: where several encoders keep it; borrowed; NULL: each has its own */
};

struct encoder;
struct decoder;

/* NULL with @err set; -EINVAL for a level or framing that the codec has not. */
struct encoder *encoder_new(const struct codec_terms *terms, struct ferry_error *err);
void encoder_free(struct encoder *encoder);

/* The most that a payload can take. */
size_t encoder_bound(const struct encoder *encoder);

/**
 * encoder_encode() - one batch
 * @out: encoder_bound() bytes
 *
 * Returns the bytes of the payload; 0: it does not pay, send the pages as they are (FRAMED only); or a
 * negative errno.
 */
ssize_t encoder_encode(struct encoder *encoder, const struct codec_pages *pages, uint8_t *out, struct ferry_error *err);

/* What follows is about deltas; all other codecs know nothing. */

/* These pages went out unencoded, or by another codec: the other end has something else now than was thought. */
void encoder_forget(struct encoder *encoder, const struct codec_pages *pages);

/* These pages went out by @other, in its last payload: that is what the other end has now.  Both have the same terms
 * but for id and level. */
void encoder_learn(struct encoder *encoder, const struct encoder *other, const struct codec_pages *pages);

/* Of how many of the pages is it known what the other end has? */
unsigned encoder_knows(const struct encoder *encoder, const struct codec_pages *pages);

struct decoder *decoder_new(const struct codec_terms *terms, struct ferry_error *err);
void decoder_free(struct decoder *decoder);

/* Exactly the pages asked for must come out of exactly @bytes.  Returns 0; or a negative errno with a sentence, after
 * which the pages may hold anything. */
int decoder_decode(struct decoder *decoder, const uint8_t *in, size_t bytes, const struct codec_pages *pages,
                   struct ferry_error *err);

#endif
