/* SPDX-License-Identifier: BSD-3-Clause */
/* page_sender.h - what one page channel sends: it takes from the walk until that is empty
 *
 *      walk_take_untouched --> runs of zeros ------------------\
 *      parts --> payload ---------------------------> packet --+
 *      walk_take --> batch --> checksums --> codec --> packet --> writer --> limit --> channel
 *
 * Used by one thread at a time; page_sender_figures() by any.
 */
#ifndef PAGES_PAGE_SENDER_H
#define PAGES_PAGE_SENDER_H

#include "page_encoder.h"
#include "page_senders.h"

#include <ferry/stream.h>
#include <stdatomic.h>

/* What pages are to go through now; all channels'. */
struct page_codec {
    atomic_uint wanted;                   /* enum codec_id */
    _Atomic(struct page_deltas *) deltas; /* there before any codec is wanted that needs it, and for good */
};

struct page_sender {
    struct ferry_channel *chan; /* a reference */
    struct page_walk *walk;     /* borrowed */
    struct walk_claim claim;
    struct page_terms terms;
    struct ferry_writer *writer; /* owned */
    uint64_t sequence;           /* of the next packet */
    uint32_t round;
    bool afresh;              /* the other end has nothing of these pages: in the first round, and in postcopy */
    bool postcopy;            /* somebody may wait for any page */
    unsigned prompt_pages;    /* then: what the channel takes at once, as far as it has shown; 0: nothing yet */
    bool is_long;             /* there is plenty to be done in this round, for every channel */
    unsigned quiet_pages;     /* zero pages that were put and not flushed */
    struct page_codec *codec; /* borrowed */
    const struct page_parts_source *parts; /* borrowed; what goes behind this round's pages; NULL: nothing */
    uint8_t *part;                         /* owned; room for one payload; NULL before the first */
    struct page_encoder encoder;
    struct packet packet;
    struct page_batch batch;
    uint8_t header[PACKET_HEAD_MAX + PACKET_REST_MAX];

    pthread_mutex_t lock; /* a leaf; guards figures */
    struct page_figures figures;
};

/* @channels: how many there are.  On failure page_sender_clear() all the same. */
int page_sender_init(struct page_sender *sender, struct ferry_channel *chan, unsigned channels, struct page_walk *walk,
                     const struct page_terms *terms, struct page_codec *codec, struct ferry_error *err);
void page_sender_clear(struct page_sender *sender);

/* Until nothing is left or *stop.  0 when all of it was handed to the channel. */
int page_sender_run(struct page_sender *sender, const atomic_bool *stop, struct ferry_error *err);

/* A packet that says nothing but its kind. */
int page_sender_put(struct page_sender *sender, enum packet_kind kind, struct ferry_error *err);

/* Nothing more comes: half-close, once the guest's memory is no longer needed. */
int page_sender_finish(struct page_sender *sender, struct ferry_error *err);

void page_sender_figures(struct page_sender *sender, struct page_figures *figures);

#endif
