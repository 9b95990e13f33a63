/* SPDX-License-Identifier: BSD-3-Clause */
/* escalation.h - what a source did to make a migration converge, and what each step brought
 *
 * The option `escalate` says what may be done, in which order: channels, compress, throttle, postcopy, give-up.  A step
 * is taken after a round whose verdict is FERRY_VERDICT_CANNOT, or twice in a row FERRY_VERDICT_STALLED.
 */
#ifndef FERRY_ESCALATION_H
#define FERRY_ESCALATION_H

#include <ferry/api.h>
#include <stdbool.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

#define FERRY_STEPS_SHOWN 16

enum ferry_step_outcome {
    FERRY_STEP_OPEN,       /* the round under it is not over */
    FERRY_STEP_KEPT,       /* see the rates */
    FERRY_STEP_UNDONE,     /* it brought nothing */
    FERRY_STEP_IMPOSSIBLE, /* here: `note` says why */
};

/* "open", "kept", "undone", "impossible". */
FERRY_API const char *ferry_step_outcome_name(enum ferry_step_outcome outcome);

/* Rates of memory, in bytes per second: what the channels carried of it, and what the guest wrote. */
struct ferry_step_rates {
    uint64_t carried, dirty;
};

struct ferry_step {
    char what[16];                         /* "channels", "compress", "throttle", "postcopy", "give-up" */
    unsigned value;                        /* channels: how many are in use now; throttle: percent; else 0 */
    int64_t at_ns;                         /* since the start of the session */
    uint64_t round;                        /* after which round, from 1 */
    struct ferry_step_rates before, after; /* the round before it and the one under it; after: zeros while it is open */
    enum ferry_step_outcome outcome;
    char note[128]; /* empty: none */
};

struct ferry_escalation_stats {
    unsigned count;                            /* of all steps */
    struct ferry_step step[FERRY_STEPS_SHOWN]; /* the first so many */
    unsigned throttle_percent;                 /* now: how much of its time the guest is kept from running */
    int64_t throttled_ns;                      /* for how long it was more than 0 */
};

/* Pages that are written all the time and wait for the end (option `hot-pages`). */
struct ferry_hot_stats {
    uint64_t held_bytes;  /* now */
    uint64_t saved_bytes; /* that were not sent because they waited, and were written again meanwhile */
};

FERRY_END_DECLS

#endif
