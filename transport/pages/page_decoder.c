/* SPDX-License-Identifier: BSD-3-Clause */
/* page_decoder.c - back from a payload to pages, by whichever codec its packet names */
#include "page_decoder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void page_decoder_init(struct page_decoder *decoder, const struct packet_format *format)
{
    memset(decoder, 0, sizeof(*decoder));
    decoder->framing = format == &packet_v1 ? CODEC_STREAM : CODEC_FRAMED;
}

void page_decoder_clear(struct page_decoder *decoder)
{
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        decoder_free(decoder->decoders[i]);
    free(decoder->payload);
}

int page_decoder_room(struct page_decoder *decoder, const struct packet *packet, uint8_t **room,
                      struct ferry_error *err)
{
    if (packet->payload_bytes > PACKET_PAYLOAD_MAX)
        return ferry_error_set(err, -EPROTO, "a payload of %" PRIu32 " bytes", packet->payload_bytes);
    if (!decoder->payload)
        decoder->payload = malloc(PACKET_PAYLOAD_MAX);
    *room = decoder->payload;
    return *room ? 0 : ferry_error_set(err, -ENOMEM, "no memory for compressed pages");
}

static struct decoder *decoder_of(struct page_decoder *decoder, enum codec_id codec, struct ferry_error *err)
{
    const struct codec_terms terms = {
        .id = codec,
        .framing = decoder->framing,
        .pages_max = BATCH_PAGES_MAX,
        .page_bytes = FERRY_PAGE_BYTES,
    };

    if (!decoder->decoders[codec])
        decoder->decoders[codec] = decoder_new(&terms, err);
    return decoder->decoders[codec];
}

int page_decoder_decode(struct page_decoder *decoder, const struct packet *packet, const struct iovec *pieces,
                        int count, struct ferry_error *err)
{
    struct ferry_error why = { .errnum = -EIO };
    struct decoder *codec = decoder_of(decoder, packet->codec, &why);
    uint8_t *page[BATCH_PAGES_MAX];
    struct codec_pages pages = { .page = page, .page_bytes = FERRY_PAGE_BYTES };
    int ret = codec ? 0 : why.errnum;

    for (int i = 0; i < count; i++) {
        for (size_t offset = 0; offset < pieces[i].iov_len; offset += FERRY_PAGE_BYTES)
            page[pages.count++] = (uint8_t *)pieces[i].iov_base + offset;
    }
    if (ret == 0)
        ret = decoder_decode(codec, decoder->payload, packet->payload_bytes, &pages, &why);
    if (ret < 0 && err)
        *err = why;
    return ret;
}
