/* SPDX-License-Identifier: BSD-3-Clause */
/* page_receivers.h - the destination's page channels: a thread each, that puts what arrives in place
 *
 *      channel --> packet --> pages straight into place, or through the codec --> placer      thread 0, 1 ...
 *
 *      load thread:  a mark in the main stream --> page_receivers_sync(): all have come to their SYNC; go on
 *
 * A channel that has come to its SYNC waits for the mark: what is behind it may be a newer copy of a page that another
 * channel still carries.
 *
 * A page whose checksum does not fit may have been written by the guest while it was sent: then it comes again.  So
 * such a page is noted, and cleared by a copy that fits; what is left at the end was damaged on its way.
 */
#ifndef PAGES_PAGE_RECEIVERS_H
#define PAGES_PAGE_RECEIVERS_H

#include "packet.h"
#include "page_senders.h"
#include "placer.h"

struct page_receivers;

/* @failed: told once, from whichever thread finds the first error, so that a load thread blocked in the main stream can
 * be woken; the error is what page_receivers_sync() and _finish() return.  Not after page_receivers_stop(). */
struct page_receivers_events {
    void (*failed)(void *opaque);
    void *opaque;
};

/**
 * page_receivers_new() - one thread per channel; they read at once
 * @map, @placer: borrowed
 * @chans: a reference of each is taken
 * @terms: format, codec (CODEC_AUTO: whatever a packet says), pin; checksums are there where a packet says so
 */
struct page_receivers *page_receivers_new(const struct ram_map *map, struct placer *placer,
                                          struct ferry_channel *const *chans, unsigned count,
                                          const struct page_terms *terms, const struct page_receivers_events *events,
                                          struct ferry_error *err);

/* Likewise channels that are made once postcopy runs, or for it (an urgent one): each has a placer of its own, and the
 * rules of page_receivers_begin_postcopy() hold from their first packet on, whatever its round. */
struct page_receivers *page_receivers_new_postcopy(const struct ram_map *map, struct placer *const *views,
                                                   struct ferry_channel *const *chans, unsigned count,
                                                   const struct page_terms *terms,
                                                   const struct page_receivers_events *events, struct ferry_error *err);

/* Wait until every channel has come to its next SYNC, then let all go on.  0, or the first error of any.  The load
 * thread. */
int page_receivers_sync(struct page_receivers *receivers, struct ferry_error *err);

/* The pages are to be forgotten (postcopy: they come again); whether what had come of them was damaged is of no
 * interest any more.  The load thread, between two syncs. */
void page_receivers_discard(struct page_receivers *receivers, const struct ram_block *block, uint64_t first,
                            uint64_t count);

/**
 * page_receivers_await_postcopy() - nobody reads any more, nor writes guest memory, until
 * page_receivers_begin_postcopy()
 *
 * Waits until every channel has come to the SYNC that goes with it.  Before pages are dropped, or watched for touches:
 * who still received would touch them.  0, or the first error of any.  The load thread; may come again.
 */
int page_receivers_await_postcopy(struct page_receivers *receivers, struct ferry_error *err);

/**
 * page_receivers_begin_postcopy() - what comes from now on goes through other placers
 * @views: one per channel, borrowed
 *
 * The source says a SYNC on every page channel that no mark in the main stream goes with; its place there is the
 * command LISTEN.  So this is page_receivers_sync() for that SYNC: it waits until every channel has come to it, and
 * lets all go on with their new placers.  Everything before the SYNC is in place then; a page of it that was damaged on
 * its way and not discarded since is an error here.  From now on a checksum that does not fit is an error at once,
 * before its page is committed: a page comes once.
 *
 * The load thread, once, behind the last page_receivers_sync() and all discards.
 */
int page_receivers_begin_postcopy(struct page_receivers *receivers, struct placer *const *views,
                                  struct ferry_error *err);

/* All memory has come, and no page is damaged.  v2: waits for every channel's END.  v1: senders close their channels
 * once they have heard that all went well, so nothing is waited for and the channels are shut down. */
int page_receivers_finish(struct page_receivers *receivers, struct ferry_error *err);

/* The first error so far, or 0.  Thread: any. */
int page_receivers_status(struct page_receivers *receivers, struct ferry_error *err);

/* The channels are shut down, everyone is woken.  Thread: any. */
void page_receivers_stop(struct page_receivers *receivers);

/* Thread: any. */
void page_receivers_figures(struct page_receivers *receivers, unsigned channel, struct page_figures *figures);

/* Stops what still runs.  NULL is legal. */
void page_receivers_free(struct page_receivers *receivers);

#endif
