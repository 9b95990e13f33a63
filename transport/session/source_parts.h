/* SPDX-License-Identifier: BSD-3-Clause */
/* source_parts.h - what a source consists of, and what source.c, source_stop.c and source_switch.c do for each other */
#ifndef SESSION_SOURCE_PARTS_H
#define SESSION_SOURCE_PARTS_H

#include "departure.h"
#include "escalate.h"
#include "precopy.h"
#include "section.h"
#include "source_mapped.h"
#include "source_pages.h"
#include "source_peer.h"
#include "source_postcopy.h"

#define SOURCE_PART_NS (50 * NS_PER_MS) /* how long a PART section may grow */
/* Not 0: a QEMU looks PART up among all that it could load, and what has not come yet has 0 there. */
#define SOURCE_RAM_SECTION_ID 1

struct source {
    struct ferry_session *session;
    struct ferry_guest *guest;
    struct ferry_writer *writer;
    struct source_peer peer;
    struct source_mapped mapped;
    struct source_pages pages;
    struct source_postcopy postcopy;
    struct precopy precopy;
    struct departure departure;
    struct escalate escalate;
    uint64_t device_bytes; /* of state, estimated before and known after it was sent */
    bool stopped;          /* the guest stands still, or tried to */
};

/* A section of memory ends.  What page channels have carried so far belongs before its end. */
int source_put_section_end(struct source *source, struct ferry_error *err);

/* One PART or END section: pages until none is left, or, in a PART, until it has grown for long enough. */
int source_send_section(struct source *source, enum section_type type, bool *more, struct ferry_error *err);

/* For whoever asks. */
void source_note_pages(struct source *source);
void source_note_channels(struct source *source);

/* The switch begins: the guest is stopped, and may have to wait for ferry_session_continue() then. */
int source_stop(struct source *source, struct ferry_error *err);

/* The guest moves now, its memory follows: source_switch.c. */
int source_switch_postcopy(struct source *source, struct ferry_error *err);

/* That was interrupted, as *err says: sleep until it goes on over new connections.  0, or -ENOTRECOVERABLE: the session
 * is to end.  source_resume.c. */
int source_resume(struct source *source, struct ferry_error *err);

#endif
