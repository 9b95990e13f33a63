/* SPDX-License-Identifier: BSD-3-Clause */
/* heart.h - a thread that notes the time every 100 us, so that the guest itself can say how long it was not running
 *
 *      source       | | | | |  stop                        destination   start  | | | | |
 *                           ^ record.last_ns                                    ^ the first beat
 *                           |<------------------ blackout ---------------------->|
 */
#ifndef BENCH_HEART_H
#define BENCH_HEART_H

#include "gate.h"

#include <ferry/error.h>

#define HEART_PERIOD_NS 100000

/* What crosses with the guest. */
struct heart_record {
    uint64_t beats;
    uint64_t largest_gap_ns; /* between two beats on the same side */
    int64_t last_ns;         /* CLOCK_MONOTONIC; 0: there was none */
    int64_t last_wall_ns;    /* the same moment by CLOCK_REALTIME */
    uint64_t boot;           /* digest of the kernel's boot id: equal ones share the monotonic clock; 0: not known */
};

struct heart_blackout {
    int64_t ns; /* -1: none so far */
    bool by_wall_clock;
};

struct heart;

/* A thread that beats while @gate (borrowed) is open. */
struct heart *heart_new(struct gate *gate, struct ferry_error *err);

/* Before it is started for the first time: another period than HEART_PERIOD_NS. */
void heart_set_period(struct heart *heart, int64_t ns);

/* After gate_quit().  NULL is legal. */
void heart_free(struct heart *heart);

/* The first beat, before the gate opens.  The caller's thread. */
void heart_start(struct heart *heart);

/* Go on from what the other side recorded; before heart_start(). */
void heart_resume(struct heart *heart, const struct heart_record *record);

/* While the gate is closed, all of it; else a moment's figures.  Thread: any. */
void heart_read(struct heart *heart, struct heart_record *record);

/* While no heart_start() runs. */
struct heart_blackout heart_blackout(const struct heart *heart);

/* Refuse what no heart records. */
int heart_check(const struct heart_record *record, struct ferry_error *err);

#endif
