/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_channels_parts.h - what the connections beside a main stream share with each one's thread
 *
 *      ARRIVING --> READING --> ENDED          a page channel
 *          |------> WAITING --> READING ...    urgent pages of postcopy: read once the guest has moved
 *          |------> RESUMES                    takes over where a main connection broke: read by who reads that
 *          '------> IS_MAIN
 */
#ifndef TOOLS_INSPECT_CHANNELS_PARTS_H
#define TOOLS_INSPECT_CHANNELS_PARTS_H

#include "inspect_channels.h"

#include <pthread.h>

enum stage {
    ARRIVING, /* it has not said what it is */
    IS_MAIN,  /* it belongs to whoever reads the main stream */
    RESUMES,  /* begins as a main connection that takes over; waits for somebody who reads it */
    WAITING,  /* urgent, and it is not time yet */
    READING,
    ENDED,
};

/* One of them. */
struct connection {
    struct inspect_channels *set;
    struct ferry_channel *chan;      /* owned; set->lock, except for its thread, which alone changes it */
    struct ferry_reader *reader;     /* owned, until IS_MAIN; the thread's; NULL until hands were shaken */
    pthread_t thread;                /* to be joined */
    enum stage stage;                /* set->lock */
    bool urgent;                     /* set->lock; no page channel: bare records, of postcopy */
    unsigned index;                  /* among all; fixed */
    uint64_t syncs;                  /* set->lock; how many it has come to */
    struct ferry_error error;        /* set->lock */
    struct report_connection report; /* the thread's, until ENDED */
};

struct inspect_channels {
    struct inspect_ram *ram;         /* borrowed */
    struct ferry_listener *listener; /* borrowed; NULL: nobody connects */
    const struct secure *secure;     /* borrowed; NULL: nothing is encrypted */
    pthread_t accepter;              /* to be joined where there is a listener */
    struct ram_map map;              /* the blocks that the stream announced; borrowed, fixed by `begun` */
    pthread_mutex_t lock;            /* a leaf; guards all below */
    pthread_cond_t changed;          /* CLOCK_MONOTONIC */
    struct connection *connections[REPORT_CHANNELS_MAX + 1]; /* owned */
    unsigned count;
    unsigned arrivals;                 /* counts connections, and once more when they say who they are */
    struct connection *main;           /* borrowed */
    uint64_t released;                 /* SYNCs that may be passed */
    struct inspect_postcopy *postcopy; /* borrowed; NULL: the guest has not moved */
    unsigned urgent_until;             /* connections below that may be read where they are urgent */
    unsigned followed;                 /* connections below that are done with: they belong before the last break */
    bool begun;                        /* the block list is known */
    bool stopping;
    struct ferry_error error; /* why nobody can connect any more */
};

/* NULL: no memory. */
struct connection *connection_new(struct inspect_channels *set, struct ferry_channel *chan);

/* NULL is legal. */
void connection_free(struct connection *connection);

/* Its thread. */
void *connection_run(void *opaque);

/* ---- inspect_urgent.c ---- */

/* May it be that?  Its reader has @have bytes at @first, HELLO_PEEK_BYTES or all that there are. */
bool urgent_begins(const uint8_t *first, ssize_t have);
bool resumed_begins(const uint8_t *first, ssize_t have);

/* Its thread, once it is known to be urgent.  0 or the reader's error. */
int urgent_run(struct connection *connection);

/* What is wrong with a connection of postcopy; @whole: the main stream is, so that it would have been wanted.  0:
 * nothing. */
int not_wanted(const struct connection *connection, bool whole, struct ferry_error *err);

#endif
