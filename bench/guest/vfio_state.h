/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_state.h - what a migratable device may be doing, and what may follow what
 *
 *                      +------------------+
 *                      v                  |
 *      running <--> pre-copy ---> stop-copy ---> stopped <--> resuming
 *         ^                                        ^
 *         '----------------------------------------'          any but error --> error --> stopped
 *
 * A move that the table does not have goes by way of stopped, if that is legal.
 */
#ifndef BENCH_VFIO_STATE_H
#define BENCH_VFIO_STATE_H

#include <ferry/error.h>
#include <stdbool.h>

enum vfio_state {
    VFIO_STOPPED,
    VFIO_RUNNING,
    VFIO_PRE_COPY,  /* runs, and is being saved */
    VFIO_STOP_COPY, /* stands still, and is being saved */
    VFIO_RESUMING,
    VFIO_ERROR,
};

const char *vfio_state_name(enum vfio_state state);

/* In one step.  Staying is no move, and legal. */
bool vfio_state_allowed(enum vfio_state from, enum vfio_state to);

/* Go from *@state to @to, directly or by way of stopped: -EINVAL, and *@state as it was, where that cannot be. */
int vfio_state_move(enum vfio_state *state, enum vfio_state to, struct ferry_error *err);

#endif
