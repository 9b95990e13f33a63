/* SPDX-License-Identifier: BSD-3-Clause */
/* page_senders.h - the source's page channels: a thread each, that takes dirty pages and sends them
 *
 *      walk --> batch --> zero? --> codec --> packet --> channel      thread 0
 *           \-> batch --> zero? --> codec --> packet --> channel      thread 1 ...
 *
 *      migration thread:  round: they take until none is left --> sync: a SYNC packet on every channel --> ...
 *
 * A batch is made, sent and forgotten by one thread, so no page changes hands.  All functions but page_senders_stop()
 * and page_senders_figures() belong to the migration thread.
 */
#ifndef PAGES_PAGE_SENDERS_H
#define PAGES_PAGE_SENDERS_H

#include "packet.h"
#include "page_parts.h"
#include "page_walk.h"
#include "page_zeros.h"
#include "ratelimit.h"

#include <ferry/channel.h>

struct page_terms {
    const struct packet_format *format;
    unsigned batch_pages; /* as agreed: at most format->batch_pages; above BATCH_PAGES for raw ones of a long round */
    enum codec_id codec;  /* what pages go through; CODEC_AUTO: judged batch by batch (packet_v2 only) */
    int level;
    bool sums;                /* v2: CRC32C of every page, where nothing else protects it */
    bool pin;                 /* each thread to a processor near its memory */
    struct ratelimit *limit;  /* borrowed; NULL: none */
    struct page_zeros *zeros; /* borrowed; zero pages go there; NULL: into packets */
    const struct page_parts_sink
        *parts; /* receivers: borrowed; who takes pieces of devices' state; NULL: none may come */
};

/* Of one channel. */
struct page_figures {
    uint64_t bytes; /* on the wire, headers included */
    uint64_t packets;
    uint64_t content_pages, zero_pages;
    uint64_t codec_pages[CODEC_COUNT]; /* by the codec that carried them */
    uint64_t codec_bytes[CODEC_COUNT]; /* their payload */
    uint64_t part_bytes;               /* of devices' state */
    int cpu;                           /* pinned to; -1: not */
};

struct page_senders;

/**
 * page_senders_new() - one thread per channel; they wait
 * @walk: borrowed
 * @chans: a reference of each is taken
 */
struct page_senders *page_senders_new(struct page_walk *walk, struct ferry_channel *const *chans, unsigned count,
                                      const struct page_terms *terms, struct ferry_error *err);

/* Only the first @channels (at least 1) take from the walk from now on; all of them, unless this says otherwise.  The
 * others go on carrying syncs.  More begin at once, also in the middle of a round; fewer with the next one. */
void page_senders_use(struct page_senders *senders, unsigned channels);

/* What pages go through, from each channel's next batch on; at the level of the terms, where that codec has it.
 * -ENOTSUP: packet_v1 has one codec from its beginning to its end. */
int page_senders_set_codec(struct page_senders *senders, enum codec_id codec, struct ferry_error *err);

/* In the round that begins next, each of those in use also takes pieces of devices' state until there are none. @parts:
 * borrowed until it is over.  v2 only. */
void page_senders_carry(struct page_senders *senders, const struct page_parts_source *parts);

/* Let them take from the walk until it is empty. */
void page_senders_begin(struct page_senders *senders, uint32_t round);

/**
 * page_senders_begin_postcopy() - likewise what is left at walk_begin_postcopy(): the background
 *
 * Before it comes a page_senders_sync() that the main stream does not mark: the destination's channels wait there for
 * page_receivers_begin_postcopy().  @round is one more than that sync's.  No deltas any more, whatever the codec: the
 * destination has forgotten what it had.  No page_senders_sync() follows; the end is page_senders_wait(), then
 * page_senders_finish().
 */
void page_senders_begin_postcopy(struct page_senders *senders, uint32_t round);

/* 0: the walk is empty and everything was handed to the channels; -ETIMEDOUT: not yet; or the first error of any. */
int page_senders_wait(struct page_senders *senders, int64_t timeout_ns, struct ferry_error *err);

/* A SYNC packet on every channel, handed to it.  Only when nobody is at work. */
int page_senders_sync(struct page_senders *senders, struct ferry_error *err);

/* Nothing more comes: END where the format has one, half-close. */
int page_senders_finish(struct page_senders *senders, struct ferry_error *err);

/* The channels are shut down, everyone is woken.  Thread: any.  Needed after an error, too: until then the others stay
 * open, so that the destination can be told which one broke before it sees them end. */
void page_senders_stop(struct page_senders *senders);

/* Thread: any. */
void page_senders_figures(struct page_senders *senders, unsigned channel, struct page_figures *figures);

/* Stops what still runs.  NULL is legal. */
void page_senders_free(struct page_senders *senders);

#endif
