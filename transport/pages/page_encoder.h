/* SPDX-License-Identifier: BSD-3-Clause */
/* page_encoder.h - which codec a packet's pages go through, and through it
 *
 * One per page channel, used by whoever uses the channel.  What all channels of a session share is page_deltas.
 */
#ifndef PAGES_PAGE_ENCODER_H
#define PAGES_PAGE_ENCODER_H

#include "packet.h"
#include "page_auto.h"
#include "page_deltas.h"
#include "page_senders.h"

struct page_encoder {
    enum codec_id codec;
    int level; /* for codecs that have it */
    unsigned channels;
    struct codec_terms terms;
    struct encoder *encoder;    /* owned; NULL: pages go raw, or */
    struct page_auto *choice;   /* owned; each batch goes the way that it chooses */
    struct page_deltas *deltas; /* borrowed; NULL unless there are any */
    bool must;                  /* v1: there is no raw packet among encoded ones */
    uint8_t *out;               /* owned; the last payload */
};

/* @channels: how many there are.  On failure page_encoder_clear() all the same. */
int page_encoder_init(struct page_encoder *encoder, const struct page_terms *terms, struct page_deltas *deltas,
                      unsigned channels, struct ferry_error *err);

/* From the next packet on.  Not in a stream of v1.  After a failure it can only be cleared. */
int page_encoder_switch(struct page_encoder *encoder, enum codec_id codec, struct page_deltas *deltas,
                        struct ferry_error *err);

void page_encoder_clear(struct page_encoder *encoder);

/**
 * page_encoder_encode() - the content of @packet
 * @afresh: the other end has nothing of these pages, a delta cannot be had
 *
 * Sets the packet's codec and payload_bytes.  Returns 1: encoder->out is the payload, until the next call; 0: the pages
 * are to be sent as they are; or a negative errno.
 */
int page_encoder_encode(struct page_encoder *encoder, struct packet *packet, bool afresh, struct ferry_error *err);

#endif
