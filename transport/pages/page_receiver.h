/* SPDX-License-Identifier: BSD-3-Clause */
/* page_receiver.h - what one page channel receives: each packet's pages are put in place
 *
 *      raw         channel --> where the placer says
 *      compressed  channel --> payload[] --> decoder --> where the placer says
 *
 * Used by its thread; page_receiver_figures() by any.
 */
#ifndef PAGES_PAGE_RECEIVER_H
#define PAGES_PAGE_RECEIVER_H

#include "packet_reader.h"
#include "page_decoder.h"
#include "page_senders.h"
#include "page_suspects.h"
#include "placer.h"

struct page_receiver {
    struct ferry_channel *chan;     /* a reference */
    struct placer *placer;          /* borrowed */
    struct page_suspects *suspects; /* borrowed */
    struct page_terms terms;
    bool once;         /* postcopy: each page comes once, so a checksum must fit */
    uint64_t sequence; /* v2: due next */
    uint32_t round;    /* v2: nothing older may come */
    struct packet_reader reader;
    struct page_decoder decoder;
    struct packet packet;
    struct iovec pieces[BATCH_PAGES_MAX]; /* of the packet's content, where the placer wants it */
    int pieces_count;
    uint8_t *part; /* owned; a piece of a device's state; NULL before the first */

    pthread_mutex_t lock; /* a leaf; guards figures */
    struct page_figures figures;
};

void page_receiver_init(struct page_receiver *receiver, struct ferry_channel *chan, const struct ram_map *map,
                        struct placer *placer, struct page_suspects *suspects, const struct page_terms *terms);
void page_receiver_clear(struct page_receiver *receiver);

/* The next packet; pages are in place.  Returns its kind (for pages that a sync follows at once, PACKET_SYNC; for the
 * end of a v1 stream, PACKET_END), or a negative errno. */
int page_receiver_next(struct page_receiver *receiver, struct ferry_error *err);

/* Behind the end nothing may come; waits until the other end has closed, too. */
int page_receiver_drain(struct page_receiver *receiver, struct ferry_error *err);

void page_receiver_figures(struct page_receiver *receiver, struct page_figures *figures);

#endif
