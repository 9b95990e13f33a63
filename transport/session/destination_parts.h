/* SPDX-License-Identifier: BSD-3-Clause */
/* destination_parts.h - what a destination consists of, and what destination.c and destination_postcopy.c do for each
 * other */
#ifndef SESSION_DESTINATION_PARTS_H
#define SESSION_DESTINATION_PARTS_H

#include "destination_mapped.h"
#include "destination_pages.h"
#include "destination_peer.h"
#include "destination_postcopy.h"
#include "landing.h"
#include "ram_section.h"
#include "state_sections.h"

struct destination {
    struct ferry_session *session;
    struct ferry_guest *guest;
    struct destination_peer peer;
    struct ferry_reader *reader; /* the peer's; the load thread's, from LISTEN on the listen thread's */
    struct destination_pages pages;
    struct placer *placer;
    struct ram_loader ram; /* likewise */
    struct destination_mapped mapped;
    struct landing landing; /* likewise, its sections */
    struct state_arrivals arrivals;
    struct destination_postcopy postcopy;
    bool ram_started;
};

/* For whoever asks.  The thread that reads the main stream. */
void destination_note_progress(struct destination *destination);

/* Postcopy: the next state, if @what may come now; a sentence that it may not; a userfaultfd for the memory, once its
 * blocks are known. */
int destination_enter(struct destination *destination, enum postcopy_state to, const char *what,
                      struct ferry_error *err);
int destination_out_of_order(const struct destination *destination, const char *what, struct ferry_error *err);
int destination_prepare(struct destination *destination, struct ferry_error *err);

/* Memory has come to its END; more of it may come all the same. */
bool destination_ram_ended(const struct destination *destination);
void destination_ram_reopen(struct destination *destination);

#endif
