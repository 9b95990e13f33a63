/* SPDX-License-Identifier: BSD-3-Clause */
/* ladder.h - what to try next when a migration does not converge
 *
 * Pure: figures of a round in, a move out; reads no clock, changes nothing of a migration.  Who carries the moves out
 * is escalate.c.
 */
#ifndef SESSION_LADDER_H
#define SESSION_LADDER_H

#include <ferry/error.h>
#include <ferry/escalation.h>
#include <ferry/session.h>
#include <stdbool.h>
#include <stdint.h>

/* In the order of the words of option `escalate`, which may come in any. */
enum ladder_rung {
    RUNG_CHANNELS,
    RUNG_COMPRESS,
    RUNG_THROTTLE,
    RUNG_POSTCOPY,
    RUNG_GIVE_UP,
    RUNGS,
};

/* "channels", ... */
const char *ladder_rung_name(enum ladder_rung rung);

/* How far and how fast to throttle. */
struct ladder_throttle {
    unsigned initial, increment, most; /* percent */
    uint64_t target_bytes_per_sec;     /* the dirty rate to come to; 0: by increments */
};

struct ladder {
    enum ladder_rung rung[RUNGS];
    unsigned count;
    unsigned at; /* the rung to take next, or that of throttling, which is taken again and again */
    struct ladder_throttle terms;
    unsigned stalled;               /* rounds in a row */
    unsigned percent;               /* throttled by, as far as that has brought something */
    unsigned trying;                /* throttled by now; as much as percent: nothing is tried */
    unsigned stride;                /* the next try goes so much further; 0: the first */
    bool exhausted;                 /* no throttling brings anything more */
    struct ferry_step_rates before; /* of what is tried */
};

/* "channels,throttle": words of that list, each at most once; empty: none. */
int ladder_parse(const char *text, struct ladder *ladder, struct ferry_error *err);

struct ladder_move {
    enum ladder_rung rung; /* RUNGS: nothing is to be done */
    unsigned percent;      /* RUNG_THROTTLE: from now on */
};

/* A round is over: did the last try to throttle bring anything (or was nothing tried)?  If not, it is undone: the guest
 * is to be throttled by ladder->percent again. */
bool ladder_judge(struct ladder *ladder, const struct ferry_step_rates *rates);

/* What to do now.  After ladder_judge(). */
struct ladder_move ladder_next(struct ladder *ladder, enum ferry_verdict verdict, const struct ferry_step_rates *rates);

/* The move could not be made: another one. */
struct ladder_move ladder_instead(struct ladder *ladder, const struct ladder_move *impossible,
                                  const struct ferry_step_rates *rates);

#endif
