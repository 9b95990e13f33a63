/* SPDX-License-Identifier: BSD-3-Clause */
/* gather_parts.h - what the two halves of gathering share: the caller's thread, and the threads of the connections
 *
 *      slot   FREE --accept--> READING --hello--> ANSWERING --> DONE --joined--> FREE
 *                                 '--no hello---> REFUSING ----'
 *                                 '--a probe----> PROBED ------'
 *
 * Slots are given and freed by the caller's thread alone.
 */
#ifndef SESSION_GATHER_PARTS_H
#define SESSION_GATHER_PARTS_H

#include "gather.h"
#include "waiting.h"

#include <pthread.h>
#include <stdatomic.h>

#define GATHER_SLOTS 32

enum gather_slot_state {
    GATHER_FREE,
    GATHER_READING,   /* may be shut down for reading */
    GATHER_ANSWERING, /* must not: it may be one of the session's by now */
    GATHER_REFUSING,  /* may be: it waits for the peer to hang up */
    GATHER_PROBED,    /* may be: a probe, which is of no session */
    GATHER_DONE,
};

struct gather_slot {
    struct gather *gather;
    struct ferry_channel *chan; /* a reference while the slot is not free */
    pthread_t thread;
    int64_t began_ns;
    enum gather_slot_state state;
    bool evicted;
};

struct gather_plain {
    struct ferry_channel *chan; /* a reference; NULL: no plain stream came */
    uint8_t first[HELLO_PEEK_BYTES];
    struct ferry_channel *pages[HELLO_MAX_PAGES]; /* references; may come before it */
    unsigned pages_count;
};

struct gather_end {
    bool over;              /* nobody is taken any more */
    bool failed;            /* `why` is what gather_run() fails with */
    struct ferry_error why; /* or why the last connection was not taken */
};

struct gather {
    struct gather_terms terms; /* fixed, as are the next two */
    struct watchdog *dog;      /* borrowed */
    int wake;                  /* eventfd: look at what has changed */
    bool single;               /* no second connection can come; fixed before the first thread starts */
    int64_t patience_ns;       /* until when a source must come; negative: for ever; fixed likewise */
    bool exhausted;            /* none can come any more; the caller's thread's own */
    atomic_bool cancelled;     /* by gather_cancel() */

    pthread_mutex_t lock; /* guards all below */
    int64_t deadline_ns;  /* for the source, then for all its connections; negative: none */
    struct gather_slot slots[GATHER_SLOTS];
    struct waiting_list waiting;
    struct roster roster;
    uint8_t nonce[HELLO_ID_BYTES]; /* that main was answered with */
    struct gather_plain plain;
    struct gather_end end;
};

/* Give a connection a slot, of which there is one free.  The reference is taken in any case. */
void gather_slot_start(struct gather *gather, struct ferry_channel *chan);

/* Free the slots whose threads are done.  Returns how many are not. */
unsigned gather_slots_reap(struct gather *gather);

/* All slots are taken: show the one out that has been silent for longest, unless somebody is on the way out already. */
void gather_slots_evict(struct gather *gather);

/* It is over: those who are being listened to hear so. */
void gather_slots_close(struct gather *gather);

/* Tell a connection why not, and remember it.  @unread: see handshake_refuse(). */
void gather_refuse(struct gather *gather, struct ferry_channel *chan, const struct hello_refusal *refusal, bool unread);

#endif
