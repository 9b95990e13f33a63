/* SPDX-License-Identifier: BSD-3-Clause */
/* records_receiver.h - a connection of bare RAM records (QEMU's preempt channel): a thread that puts them in place
 *
 *      channel --> PAGE PAGE ZERO ... [EOS] --> ram_loader --> placer
 *
 * It ends with the stream, with an EOS, or when it is stopped.
 */
#ifndef PAGES_RECORDS_RECEIVER_H
#define PAGES_RECORDS_RECEIVER_H

#include "page_senders.h"
#include "ram_section.h"

/* @failed: told once, from the thread, when it has ended with an error; not after records_receiver_stop(). */
struct records_receiver_events {
    void (*failed)(void *opaque);
    void *opaque;
};

struct records_receiver;

/**
 * records_receiver_new() - it reads at once
 * @main: knows the blocks by now; only read, and only here
 * @view: borrowed; of this thread alone
 * @chan: a reference is taken
 */
struct records_receiver *records_receiver_new(const struct ram_loader *main, struct placer *view,
                                              struct ferry_channel *chan, const struct records_receiver_events *events,
                                              struct ferry_error *err);

/**
 * records_receiver_finish() - all pages have come: the thread ends
 * @await_end: the source says EOS or closes (before 8.0, and ferry): wait for it; else whatever is there is passed
 * over, since a QEMU source of 8.0 and later closes only when it has heard that all is well
 *
 * 0, or its error.
 */
int records_receiver_finish(struct records_receiver *receiver, bool await_end, struct ferry_error *err);

/* The first error so far, or 0.  Thread: any. */
int records_receiver_status(struct records_receiver *receiver, struct ferry_error *err);

/* The channel is shut down.  Thread: any. */
void records_receiver_stop(struct records_receiver *receiver);

/* bytes, content_pages, zero_pages.  Thread: any. */
void records_receiver_figures(struct records_receiver *receiver, struct page_figures *figures);

/* Stops what still runs.  NULL is legal. */
void records_receiver_free(struct records_receiver *receiver);

#endif
