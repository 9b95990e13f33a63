/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_pages.h - the page channels of a session, as its destination uses them
 *
 *      main stream:  block list, mark --> threads begin | pages .. mark: all channels have come to their SYNC | ...
 *
 * Page channels are read from the first mark on, when the block list is known.  What a mark is depends on the source:
 * a record of its own, or, from old QEMUs, the end of every section of memory; the first section tells.  Without page
 * channels every function does nothing.  Its functions are the load thread's.
 */
#ifndef SESSION_DESTINATION_PAGES_H
#define SESSION_DESTINATION_PAGES_H

#include "deadline.h"
#include "gather.h"
#include "page_receivers.h"
#include "postcopy_ram.h"
#include "ram_section.h"
#include "session.h"

#include <pthread.h>
#include <stdbool.h>

struct destination_pages {
    struct ferry_session *session;
    struct watchdog *dog;
    pthread_mutex_t lock; /* guards what follows: a page channel's thread begins what the load thread ends */
    struct deadline word; /* once a channel has failed: for the source to say why */
    bool heard;           /* the load thread reads no more */
    int64_t waits_ns;     /* since when it has waited for page channels, or something came there; 0: it does not */
    uint64_t came;        /* so many bytes had come then */
    unsigned count;
    struct ferry_channel *chans[HELLO_MAX_PAGES]; /* references */
    const struct packet_format *format;
    struct page_receivers *receivers; /* NULL until the first mark */
    struct placer **views;            /* postcopy: one per channel, the urgent one's last; owned */
    struct ferry_channel *urgent;     /* a reference; NULL: none came */
    struct page_receivers *urgently;  /* its; NULL before postcopy */
    struct ram_map announced;         /* the source's block list, in its order; borrowed from the loader */
    bool marks_known, marks_are_records;
    struct page_figures before;   /* what channels have brought that are no more */
    struct page_parts_sink parts; /* who takes pieces of devices' state; put NULL: none may come */
};

/* Takes the references of *result.  @dog: borrowed. */
void destination_pages_take(struct destination_pages *pages, struct ferry_session *session, struct watchdog *dog,
                            struct gather_result *result);

/* Pieces of devices' state are for @sink, from the first packet on.  Before the first mark. */
void destination_pages_carry(struct destination_pages *pages, const struct page_parts_sink *sink);

/* A mark was read: a record of its own, or the end of a section.  @loader: borrowed until destination_pages_close();
 * its block list gives the numbers that packets call blocks by. */
int destination_pages_record(struct destination_pages *pages, const struct ram_loader *loader, struct ferry_error *err);
int destination_pages_section_end(struct destination_pages *pages, const struct ram_loader *loader,
                                  struct ferry_error *err);

/* Postcopy: page channels have come to the switch, and write guest memory no more.  Before any of it is dropped or
 * watched; may come again. */
int destination_pages_still(struct destination_pages *pages, struct ferry_error *err);

/* Postcopy: these pages will come again. */
void destination_pages_discard(struct destination_pages *pages, const struct ram_block *block, uint64_t first,
                               uint64_t count);

/* Postcopy: what comes from now on goes through @ram, and the connection for requested pages is read. */
int destination_pages_listen(struct destination_pages *pages, const struct ram_loader *loader, struct postcopy_ram *ram,
                             struct ferry_error *err);

/* All that was requested has come. */
int destination_pages_finish_urgent(struct destination_pages *pages, struct ferry_error *err);

/* All memory has come. */
int destination_pages_finish(struct destination_pages *pages, struct ferry_error *err);

/* A page channel's own failure is the cause of what the main stream shows: replaces *err by it, unless the source said
 * why. */
void destination_pages_cause(struct destination_pages *pages, struct ferry_error *err);

/* Since when the load thread has waited for page channels on which nothing comes; now, where it does not.  Thread: any,
 * until destination_pages_close(). */
int64_t destination_pages_wait_since_ns(struct destination_pages *pages);

void destination_pages_total(const struct destination_pages *pages, struct page_figures *total);

/* What is to be told of each, the main connection first, which has carried @main_bytes. */
void destination_pages_note(const struct destination_pages *pages, uint64_t main_bytes);

/* Postcopy was interrupted: they are no more, and there are none from here on; what they have brought counts on. */
void destination_pages_part(struct destination_pages *pages);

void destination_pages_close(struct destination_pages *pages);

#endif
