/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_channels_parts.h - what the page channels share with each one's thread */
#ifndef TOOLS_INSPECT_CHANNELS_PARTS_H
#define TOOLS_INSPECT_CHANNELS_PARTS_H

#include "inspect_channels.h"

#include <pthread.h>

enum stage {
    ARRIVING, /* it has not said what it is */
    IS_MAIN,  /* it belongs to whoever reads the main stream */
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
    unsigned arrivals;       /* counts connections, and once more when they say who they are */
    struct connection *main; /* borrowed */
    uint64_t released;       /* SYNCs that may be passed */
    bool begun;              /* the block list is known */
    bool stopping;
    struct ferry_error error; /* why nobody can connect any more */
};

/* NULL: no memory. */
struct connection *connection_new(struct inspect_channels *set, struct ferry_channel *chan);

/* NULL is legal. */
void connection_free(struct connection *connection);

/* Its thread. */
void *connection_run(void *opaque);

#endif
