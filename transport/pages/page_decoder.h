/* SPDX-License-Identifier: BSD-3-Clause */
/* page_decoder.h - back from a payload to pages, by whichever codec its packet names
 *
 * One per page channel, used by its thread.
 */
#ifndef PAGES_PAGE_DECODER_H
#define PAGES_PAGE_DECODER_H

#include "packet.h"

struct page_decoder {
    enum codec_framing framing;
    struct decoder *decoders[CODEC_COUNT]; /* owned, made when first needed */
    uint8_t *payload;                      /* owned, likewise */
};

void page_decoder_init(struct page_decoder *decoder, const struct packet_format *format);
void page_decoder_clear(struct page_decoder *decoder);

/* *room: where the packet's payload is to be read to. */
int page_decoder_room(struct page_decoder *decoder, const struct packet *packet, uint8_t **room,
                      struct ferry_error *err);

/* What was read there becomes the packet's content, in @pieces of memory. */
int page_decoder_decode(struct page_decoder *decoder, const struct packet *packet, const struct iovec *pieces,
                        int count, struct ferry_error *err);

#endif
