/* SPDX-License-Identifier: BSD-3-Clause */
/* converge.h - decide after each round: another one, switch over, or it cannot work
 *
 * Pure: takes figures, gives a decision; reads no clock, sends nothing.
 */
#ifndef SESSION_CONVERGE_H
#define SESSION_CONVERGE_H

#include <ferry/session.h>
#include <stdbool.h>

struct converge_figures {
    uint64_t pending_bytes;          /* dirty now */
    uint64_t previous_pending_bytes; /* dirty and iterative, at the end of the round before; 0 in the first round */
    uint64_t bytes_per_sec;          /* what the channel carried in the last round; 0: not known */
    uint64_t dirty_bytes_per_sec;    /* what the guest wrote in the last round */
    uint64_t downtime_limit_ns;
    uint64_t device_bytes;            /* device state to be sent while the guest stands still */
    unsigned fitting_rounds;          /* rounds in a row that could have switched and went on for less */
    uint64_t iterative_bytes;         /* what iterative devices have pending now */
    uint64_t iterative_bytes_per_sec; /* what they wrote in the last round */
    uint64_t round_ns;                /* how long the last round took */
    uint64_t previous_round_ns;       /* and the one before; 0 in the first */
    uint64_t previous_dirty_bytes_per_sec;
};

struct converge_decision {
    enum ferry_verdict verdict;      /* SWITCH: now; others: another round */
    uint64_t expected_downtime_ns;   /* if it switched now; UINT64_MAX: not known */
    uint64_t needed_bytes_per_sec;   /* STALLED, CANNOT: the channel rate that would make it converge; else 0 */
    uint64_t bearable_bytes_per_sec; /* likewise: or the dirty rate that this channel would bear; else 0 */
};

struct converge_decision converge_decide(const struct converge_figures *figures);

/**
 * converge_hold() - pages that are written all the time: are they to wait for the end?
 * @hot_bytes: of figures->pending_bytes, so much is such pages
 *
 * Yes while the rest is more than they are, and as long as they fit the downtime limit by themselves.
 */
bool converge_hold(const struct converge_figures *figures, uint64_t hot_bytes);

#endif
