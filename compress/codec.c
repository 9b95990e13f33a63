/* SPDX-License-Identifier: BSD-3-Clause */
/* codec.c - turns the pages of a batch into fewer bytes and back: what all codecs have in common
 *
 * A guest may write a page while it is encoded, and no codec promises to bear that.  So pages are copied first, which
 * costs a tenth of the fastest codec's time and also makes one input of the whole batch, the better to compress.
 */
#include "codec.h"

#include "codec_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GAIN_SHARE 32 /* a payload that is not shorter by this share of the pages costs more than it brings */

struct encoder {
    const struct codec_ops *ops;
    struct codec_terms terms;
    void *state;
    uint8_t *copy; /* of the batch */
};

struct decoder {
    const struct codec_ops *ops;
    struct codec_terms terms;
    void *state;
    uint8_t *copy;
};

static const struct {
    const char *name;
    const struct codec_ops *ops;
} codecs[CODEC_COUNT] = {
    [CODEC_NONE] = { "none", NULL },
    [CODEC_ZLIB] = { "zlib", &codec_zlib },
    [CODEC_ZSTD] = { "zstd", &codec_zstd },
    [CODEC_LZ4] = { "lz4", &codec_lz4 },
    [CODEC_XBZRLE] = { "xbzrle", &codec_xbzrle },
};

const char *codec_name(enum codec_id id)
{
    return (unsigned)id < CODEC_COUNT ? codecs[id].name : id == CODEC_AUTO ? "auto" : "?";
}

static int check_level(struct codec_terms *terms, const struct codec_ops *ops, struct ferry_error *err)
{
    if (terms->level == 0)
        terms->level = ops->level_default;
    else if (terms->level == CODEC_LEVEL_ZERO)
        terms->level = 0;
    if (terms->level >= ops->level_least && terms->level <= ops->level_most)
        return 0;
    if (ops->level_least == ops->level_most)
        return ferry_error_set(err, -EINVAL, "%s has no levels", codec_name(terms->id));
    return ferry_error_set(err, -EINVAL, "%s has no level %d, but %d to %d", codec_name(terms->id), terms->level,
                           ops->level_least, ops->level_most);
}

bool codec_has_level(enum codec_id id, int level)
{
    struct codec_terms terms = { .id = id, .level = level };
    const struct codec_ops *ops = (unsigned)id < CODEC_COUNT ? codecs[id].ops : NULL;

    return level == 0 || (ops && check_level(&terms, ops, NULL) == 0);
}

/* The operations of a codec that can do what @terms ask for. */
static const struct codec_ops *ops_for(const struct codec_terms *terms, struct ferry_error *err)
{
    const struct codec_ops *ops = (unsigned)terms->id < CODEC_COUNT ? codecs[terms->id].ops : NULL;

    if (!ops || (terms->framing == CODEC_STREAM && !ops->streams)) {
        ferry_error_set(err, -EINVAL, "pages cannot go through %s here", codec_name(terms->id));
        return NULL;
    }
    return ops;
}

static size_t batch_bytes(const struct codec_terms *terms)
{
    return terms->pages_max * terms->page_bytes;
}

struct encoder *encoder_new(const struct codec_terms *terms, struct ferry_error *err)
{
    struct codec_terms wanted = *terms;
    const struct codec_ops *ops = ops_for(terms, err);
    struct encoder *encoder;

    if (!ops || check_level(&wanted, ops, err) < 0)
        return NULL;
    encoder = calloc(1, sizeof(*encoder));
    if (encoder) {
        encoder->ops = ops;
        encoder->terms = wanted;
        encoder->copy = malloc(batch_bytes(&wanted));
        encoder->state = encoder->copy ? ops->encoder_new(&wanted) : NULL;
    }
    if (encoder && encoder->state)
        return encoder;
    encoder_free(encoder);
    ferry_error_set(err, -ENOMEM, "no memory for compression by %s", codec_name(wanted.id));
    return NULL;
}

void encoder_free(struct encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->state)
        encoder->ops->encoder_free(encoder->state);
    free(encoder->copy);
    free(encoder);
}

size_t encoder_bound(const struct encoder *encoder)
{
    return encoder->ops->bound(&encoder->terms);
}

ssize_t encoder_encode(struct encoder *encoder, const struct codec_pages *pages, uint8_t *out, struct ferry_error *err)
{
    const struct codec_terms *terms = &encoder->terms;
    size_t bytes = pages->count * terms->page_bytes;
    ssize_t done;

    if (pages->count == 0 || pages->count > terms->pages_max || pages->page_bytes != terms->page_bytes ||
        (encoder->ops->deltas && !pages->key))
        return ferry_error_set(err, -EINVAL, "%u pages are not a batch for %s", pages->count, codec_name(terms->id));
    for (unsigned i = 0; i < pages->count; i++)
        memcpy(encoder->copy + i * terms->page_bytes, pages->page[i], terms->page_bytes);
    done = encoder->ops->encode(encoder->state, terms, encoder->copy, pages, out, encoder_bound(encoder), err);
    if (done > 0 && (size_t)done > bytes - bytes / GAIN_SHARE && terms->framing == CODEC_FRAMED &&
        !encoder->ops->deltas)
        return 0;
    return done;
}

void encoder_forget(struct encoder *encoder, const struct codec_pages *pages)
{
    if (encoder->ops->forget)
        encoder->ops->forget(encoder->state, pages);
}

void encoder_learn(struct encoder *encoder, const struct encoder *other, const struct codec_pages *pages)
{
    if (encoder->ops->learn)
        encoder->ops->learn(encoder->state, other->copy, pages);
}

unsigned encoder_knows(const struct encoder *encoder, const struct codec_pages *pages)
{
    return encoder->ops->knows ? encoder->ops->knows(encoder->state, pages) : 0;
}

struct decoder *decoder_new(const struct codec_terms *terms, struct ferry_error *err)
{
    const struct codec_ops *ops = ops_for(terms, err);
    struct decoder *decoder;

    if (!ops)
        return NULL;
    decoder = calloc(1, sizeof(*decoder));
    if (decoder) {
        decoder->ops = ops;
        decoder->terms = *terms;
        decoder->copy = malloc(batch_bytes(terms));
        decoder->state = decoder->copy ? ops->decoder_new(terms) : NULL;
    }
    if (decoder && decoder->state)
        return decoder;
    decoder_free(decoder);
    ferry_error_set(err, -ENOMEM, "no memory to undo compression by %s", codec_name(terms->id));
    return NULL;
}

void decoder_free(struct decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->state)
        decoder->ops->decoder_free(decoder->state);
    free(decoder->copy);
    free(decoder);
}

static bool are_neighbours(const struct codec_pages *pages)
{
    for (unsigned i = 1; i < pages->count; i++)
        if (pages->page[i] != pages->page[i - 1] + pages->page_bytes)
            return false;
    return true;
}

int decoder_decode(struct decoder *decoder, const uint8_t *in, size_t bytes, const struct codec_pages *pages,
                   struct ferry_error *err)
{
    const struct codec_terms *terms = &decoder->terms;
    size_t whole = pages->count * terms->page_bytes;
    uint8_t *to = decoder->copy;
    int ret;

    if (pages->count == 0 || pages->count > terms->pages_max || pages->page_bytes != terms->page_bytes)
        return ferry_error_set(err, -EINVAL, "%u pages are not a batch of %s", pages->count, codec_name(terms->id));
    if (decoder->ops->apply)
        return decoder->ops->apply(decoder->state, in, bytes, pages, err);
    if (are_neighbours(pages))
        to = pages->page[0];
    ret = decoder->ops->decode(decoder->state, terms, in, bytes, to, whole, err);
    for (unsigned i = 0; ret == 0 && to == decoder->copy && i < pages->count; i++)
        memcpy(pages->page[i], to + i * terms->page_bytes, terms->page_bytes);
    return ret;
}
