/* SPDX-License-Identifier: BSD-3-Clause */
/* simulate.h - what a migration would be like, without one
 *
 * Round after round, with the very decisions of converge.c.  Pure: figures in, figures out.
 */
#ifndef SESSION_SIMULATE_H
#define SESSION_SIMULATE_H

#include "dirtying.h"

#include <ferry/session.h>

/* What the channels carry. */
struct sim_link {
    double bytes_per_sec; /* of all channels together */
    double round_trip_sec;
    double channel_per_sec;  /* what one channel's threads get through, of memory; 0: more than the link */
    unsigned channels;       /* at least 1 */
    double ratio;            /* bytes on the wire for one of memory: 1, or less through a codec */
    double cpu_sec_per_byte; /* of memory, at the source */
};

struct sim_guest {
    double bytes;      /* with content */
    double zero_bytes; /* cost nothing but a header now and then */
    double device_bytes;
    struct dirtying writes;
};

struct sim_terms {
    struct sim_link link;
    struct sim_guest guest;
    double downtime_limit_sec;
    double setup_sec;  /* before the first page */
    double sync_sec;   /* to ask the trackers once */
    double switch_sec; /* standing still besides what is sent: stop, check, start */
    bool hot_last;     /* pages that are written all the time wait */
};

struct sim_result {
    enum ferry_verdict verdict; /* FERRY_VERDICT_SWITCH: go; _CANNOT, _STALLED: not, and see needed */
    unsigned rounds;            /* while the guest runs */
    double total_sec, blackout_sec;
    double bytes;                  /* on the wire */
    double cpu_sec;                /* at the source */
    double rest_bytes;             /* what would have to go while the guest stands still */
    double rate;                   /* of memory, that the channels carry */
    double needed_bytes_per_sec;   /* not go: of memory, this would do */
    double bearable_bytes_per_sec; /* not go: or if the guest wrote no more than this */
};

/* Set what a set-up, a sync and a switch usually cost, by the size of the guest and the round trip. */
void sim_costs(struct sim_terms *terms);

/* One run, as if all figures were exact. */
void simulate(const struct sim_terms *terms, struct sim_result *result);

/* The same with the link slower and the guest busier by @share (0.1: 10 %), and the other way round; each figure of
 * @least is the smaller of them. */
void simulate_bounds(const struct sim_terms *terms, double share, struct sim_result *least, struct sim_result *most);

#endif
