/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_postcopy.h - the guest runs here while its memory follows: the destination's side
 *
 *      load thread    ADVISE  DISCARD..  PACKAGED { LISTEN  devices }  takes over, starts the guest     waits  checks
 *      listen thread                                '-- reads the main stream on: pages, COMMIT, END, EOF --'
 *      fault thread                                 '-- a touch -> REQ_PAGES on the return path ----------'
 *      page threads   -- through the direct placer --'-- through a view of postcopy_ram each -------------'
 *
 * A device may touch memory while it is loaded, so everything that brings pages runs before the first device does.
 * Until the guest was started a failure ends this side only: its memory is given up, and whoever waits for a page of it
 * goes on with zeros into the error.  After that the guest is here and some of its memory is not: pages that miss stay
 * missing, whoever touches one waits, until the session is freed (memory/postcopy_ram.h).
 */
#ifndef SESSION_DESTINATION_POSTCOPY_H
#define SESSION_DESTINATION_POSTCOPY_H

#include "postcopy_ram.h"
#include "postcopy_state.h"
#include "records_receiver.h"
#include "return_path.h"
#include "section.h"
#include "session.h"

struct destination;

struct destination_postcopy {
    _Atomic(enum postcopy_state) state; /* changed by the load thread */
    struct postcopy_ram *ram;           /* owned */
    struct placer *view;                /* owned; of the main connection */
    pthread_mutex_t asks;               /* a leaf but for the return path's; guards `last` */
    const struct ram_block *last;       /* "the same as before" */
    struct page_figures before;         /* of the connection for requested pages, of those that are no more */

    /* The qemu dialect's connection for requested pages. */
    struct ferry_channel *preempt;     /* a reference */
    struct placer *preempt_view;       /* owned */
    struct records_receiver *receiver; /* owned */

    pthread_t thread;
    bool listens; /* there is a listen thread to be joined */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint8_t token[RETURN_PATH_TOKEN_BYTES];
    bool committed; /* COMMIT has come, with that token */
    bool over;      /* the listen thread has ended, with... */
    int ret;
    struct ferry_error why;
    bool started; /* the plain dialect: the guest runs here, or is about to */
};

void destination_postcopy_init(struct destination_postcopy *postcopy);

/* ADVISE, DISCARD or PACKAGED; of the last only the command is read.  0, or an error described in @err. */
int destination_postcopy_command(struct destination *destination, const struct section_item *item,
                                 struct ferry_error *err);

/* PACKAGED was read: load what is in it, take the guest over, and wait for its memory.  -ENOTRECOVERABLE: the guest is
 * here, some of its memory is not. */
int destination_postcopy_run(struct destination *destination, struct ferry_error *err);

/* It was interrupted, as *err says: sleep until it goes on over a new connection.  0, or -ENOTRECOVERABLE: the session
 * is to end.  destination_resume.c. */
int destination_resume(struct destination *destination, struct ferry_error *err);

/* The qemu dialect: the source's own connection for requested pages comes, and is kept. */
int destination_let_preempt_in(struct destination *destination, struct ferry_error *err);

/* What the connection for requested pages of the qemu dialect has brought, on top of *total. */
void destination_postcopy_total(const struct destination_postcopy *postcopy, struct page_figures *total);

/* For whoever asks. */
void destination_postcopy_note(const struct destination_postcopy *postcopy, struct ferry_session *session);

/* @ret: how it ended.  What must outlive the run goes to the session. */
void destination_postcopy_close(struct destination_postcopy *postcopy, struct ferry_session *session, int ret);

#endif
