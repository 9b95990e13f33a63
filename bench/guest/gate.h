/* SPDX-License-Identifier: BSD-3-Clause */
/* gate.h - lets threads run and makes them stand still
 *
 *                 gate_open                    every thread of the guest:
 *      closed ----------------> open
 *        ^                       |             while (gate_enter(gate)) {
 *        +--- last one left <----+                 while (gate_is_open(gate))
 *                 gate_close                           a little work, perhaps gate_sleep_until()
 *                                                  gate_leave(gate);
 *                                              }
 */
#ifndef BENCH_GATE_H
#define BENCH_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
    pthread_mutex_t lock; /* guards what follows, and changes of open */
    pthread_cond_t changed;
    atomic_bool open; /* may be read without the lock */
    bool quit;
    unsigned inside;
};

/* 0 or a negative errno. */
int gate_init(struct gate *gate);

/* No thread may be using it. */
void gate_destroy(struct gate *gate);

/* ---- for those who control it ------------------------------------------------------------------------------------ */

void gate_open(struct gate *gate);

/* Returns when every thread has left; what they did is visible then. */
void gate_close(struct gate *gate);

/* gate_enter() is false from now on.  Closes. */
void gate_quit(struct gate *gate);

/* ---- for the threads --------------------------------------------------------------------------------------------- */

/* Wait until it is open; false: end.  True must be followed by gate_leave(). */
bool gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/* Cheap enough for every page. */
bool gate_is_open(struct gate *gate);

/* Until a point of CLOCK_MONOTONIC, or until the gate closes. */
void gate_sleep_until(struct gate *gate, int64_t when_ns);

#endif
