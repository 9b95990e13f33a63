/* SPDX-License-Identifier: BSD-3-Clause */
/* page_encoder.c - which codec a packet's pages go through, and through it
 *
 *      page 7   goes by deltas     a copy is kept         known
 *               goes raw           the copy is old        not known
 *               by deltas again    it is forgotten first  known
 */
#include "page_encoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int encoder_open(struct page_encoder *encoder, enum codec_id codec, struct page_deltas *deltas,
                        struct ferry_error *err)
{
    encoder->codec = codec;
    encoder->deltas = deltas;
    encoder->terms.id = codec;
    encoder->terms.cache = deltas ? page_deltas_cache(deltas) : NULL;
    if (codec == CODEC_NONE)
        return 0;
    if (codec == CODEC_AUTO)
        encoder->choice = page_auto_new(&encoder->terms, encoder->channels, err);
    else
        encoder->encoder = encoder_new(&encoder->terms, err);
    if (!encoder->encoder && !encoder->choice)
        return -EINVAL;
    encoder->out = malloc(encoder->choice ? page_auto_bound(encoder->choice) : encoder_bound(encoder->encoder));
    return encoder->out ? 0 : ferry_error_set(err, -ENOMEM, "no memory for compressed pages");
}

int page_encoder_init(struct page_encoder *encoder, const struct page_terms *terms, struct page_deltas *deltas,
                      unsigned channels, struct ferry_error *err)
{
    bool stream = terms->format == &packet_v1;

    memset(encoder, 0, sizeof(*encoder));
    encoder->level = terms->level;
    encoder->channels = channels;
    encoder->must = stream;
    encoder->terms = (struct codec_terms){
        .framing = stream ? CODEC_STREAM : CODEC_FRAMED,
        .level = terms->level,
        .pages_max = terms->batch_pages < BATCH_PAGES ? terms->batch_pages : BATCH_PAGES,
        .page_bytes = FERRY_PAGE_BYTES,
    };
    return encoder_open(encoder, terms->codec, deltas, err);
}

int page_encoder_switch(struct page_encoder *encoder, enum codec_id codec, struct page_deltas *deltas,
                        struct ferry_error *err)
{
    page_encoder_clear(encoder);
    encoder->terms.level = codec_has_level(codec, encoder->level) ? encoder->level : 0;
    return encoder_open(encoder, codec, deltas, err);
}

void page_encoder_clear(struct page_encoder *encoder)
{
    encoder_free(encoder->encoder);
    page_auto_free(encoder->choice);
    free(encoder->out);
    encoder->encoder = NULL;
    encoder->choice = NULL;
    encoder->out = NULL;
}

/* ---- deltas ---------------------------------------------------------------------------------------------------- */

static void note(const struct page_encoder *encoder, const struct packet_run *run, unsigned runs,
                 const struct ram_block *block, bool known)
{
    for (unsigned i = 0; encoder->deltas && i < runs; i++)
        page_deltas_note(encoder->deltas, block, run[i].first, run[i].count, known);
}

/* Copies of pages that went another way since are old. */
static void forget_old(const struct page_encoder *encoder, const struct codec_pages *pages)
{
    struct encoder *by = encoder->choice ? page_auto_deltas(encoder->choice) : encoder->encoder;
    uint8_t *page[BATCH_PAGES_MAX];
    uint64_t key[BATCH_PAGES_MAX];
    struct codec_pages old = { .page = page, .key = key, .page_bytes = FERRY_PAGE_BYTES };

    for (unsigned i = 0; i < pages->count; i++) {
        if (page_deltas_known(encoder->deltas, pages->key[i]))
            continue;
        page[old.count] = pages->page[i];
        key[old.count++] = pages->key[i];
    }
    if (old.count > 0)
        encoder_forget(by, &old);
}

static void make_keys(const struct page_encoder *encoder, const struct packet *packet, uint64_t *key)
{
    for (unsigned i = 0; i < packet->content_runs; i++) {
        for (uint64_t page = 0; page < packet->run[i].count; page++)
            *key++ = page_deltas_key(encoder->deltas, packet->block, packet->run[i].first + page);
    }
}

/* ---------------------------------------------------------------------------------------------------------------- */

/* *known: from now on it is known what the other end has of these pages. */
static ssize_t encode(struct page_encoder *encoder, struct packet *packet, bool afresh, bool *known,
                      struct ferry_error *err)
{
    uint8_t *page[BATCH_PAGES_MAX];
    uint64_t key[BATCH_PAGES_MAX];
    struct codec_pages pages = {
        .page = page,
        .key = encoder->deltas ? key : NULL,
        .count = packet_addresses(packet, page),
        .page_bytes = FERRY_PAGE_BYTES,
    };
    struct encoder *by = encoder->encoder;
    ssize_t bytes;

    packet->codec = encoder->codec;
    if (encoder->deltas) {
        make_keys(encoder, packet, key);
        forget_old(encoder, &pages);
    }
    if (encoder->choice)
        by = page_auto_choose(encoder->choice, &pages, afresh, &packet->codec);
    if (!by)
        return 0;
    bytes = encoder_encode(by, &pages, encoder->out, err);
    if (bytes >= 0)
        *known = encoder->choice ? page_auto_encoded(encoder->choice, &pages, (size_t)bytes)
                                 : bytes > 0 && encoder->codec == CODEC_XBZRLE;
    return bytes;
}

int page_encoder_encode(struct page_encoder *encoder, struct packet *packet, bool afresh, struct ferry_error *err)
{
    bool delta = encoder->codec == CODEC_XBZRLE, known = false;
    ssize_t bytes = 0;

    if ((encoder->encoder || encoder->choice) && packet->content_pages > 0 && !(delta && afresh))
        bytes = encode(encoder, packet, afresh, &known, err);
    if (bytes < 0)
        return (int)bytes;
    note(encoder, packet->run, packet->content_runs, packet->block, known);
    note(encoder, packet->run + packet->content_runs, packet->runs - packet->content_runs, packet->block, false);
    if (bytes == 0) {
        packet->codec = encoder->must ? encoder->codec : CODEC_NONE;
        return 0;
    }
    packet->payload_bytes = (uint32_t)bytes;
    return 1;
}
