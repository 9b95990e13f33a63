/* SPDX-License-Identifier: BSD-3-Clause */
/* bare_codec.h - the compression libraries themselves, called with one piece of memory */
#ifndef BENCH_BARE_CODEC_H
#define BENCH_BARE_CODEC_H

#include "codec.h"

#define BARE_CHANGED_EVERY 512 /* xbzrle: a word in so many bytes has changed */

/* Whichever of zlib and ISA-L the codec of that level uses; for xbzrle, which is in no library, what must be done at
 * least: keep the pages and compare all of them, and change the words that have changed. */
struct bare_codec {
    enum codec_id id;
    int level;
    void *out, *in; /* the library's states */
};

int bare_codec_open(struct bare_codec *bare, enum codec_id id, int level, struct ferry_error *err);
void bare_codec_close(struct bare_codec *bare);

/* @before: what was sent before, for xbzrle.  Returns the bytes put into @out, or 0: it failed. */
size_t bare_encode(struct bare_codec *bare, const uint8_t *from, uint8_t *before, size_t bytes, uint8_t *out,
                   size_t room);

/* Exactly @bytes must come out; for xbzrle the payload is not looked at. */
bool bare_decode(struct bare_codec *bare, const uint8_t *in, size_t in_bytes, uint8_t *to, size_t bytes);

#endif
