/* SPDX-License-Identifier: BSD-3-Clause */
/* converge.h - decide after each round: another one, switch over, or it cannot work
 *
 * Pure: takes figures, gives a decision; reads no clock, sends nothing.
 */
#ifndef SESSION_CONVERGE_H
#define SESSION_CONVERGE_H

#include <ferry/session.h>

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
};

struct converge_decision {
    enum ferry_verdict verdict;    /* SWITCH: now; CONVERGING, CANNOT: another round */
    uint64_t expected_downtime_ns; /* if it switched now; UINT64_MAX: not known */
    uint64_t needed_bytes_per_sec; /* CANNOT: the channel rate that would make it converge; else 0 */
};

struct converge_decision converge_decide(const struct converge_figures *figures);

#endif
