/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_state.c - what a migratable device may be doing, and what may follow what */
#include "vfio_state.h"

#include <errno.h>

#define TO(state) (1u << (state))

static const unsigned allowed[] = {
    [VFIO_STOPPED] = TO(VFIO_RUNNING) | TO(VFIO_STOP_COPY) | TO(VFIO_RESUMING) | TO(VFIO_ERROR),
    [VFIO_RUNNING] = TO(VFIO_STOPPED) | TO(VFIO_PRE_COPY) | TO(VFIO_ERROR),
    [VFIO_PRE_COPY] = TO(VFIO_RUNNING) | TO(VFIO_STOP_COPY) | TO(VFIO_ERROR),
    [VFIO_STOP_COPY] = TO(VFIO_STOPPED) | TO(VFIO_ERROR),
    [VFIO_RESUMING] = TO(VFIO_STOPPED) | TO(VFIO_ERROR),
    [VFIO_ERROR] = TO(VFIO_STOPPED),
};

static const char *const names[] = {
    [VFIO_STOPPED] = "stopped",     [VFIO_RUNNING] = "running",   [VFIO_PRE_COPY] = "pre-copy",
    [VFIO_STOP_COPY] = "stop-copy", [VFIO_RESUMING] = "resuming", [VFIO_ERROR] = "error",
};

const char *vfio_state_name(enum vfio_state state)
{
    return names[state];
}

bool vfio_state_allowed(enum vfio_state from, enum vfio_state to)
{
    return from == to || (allowed[from] & TO(to));
}

int vfio_state_move(enum vfio_state *state, enum vfio_state to, struct ferry_error *err)
{
    bool by_stopped = vfio_state_allowed(*state, VFIO_STOPPED) && vfio_state_allowed(VFIO_STOPPED, to);

    if (!vfio_state_allowed(*state, to) && !by_stopped)
        return ferry_error_set(err, -EINVAL, "a device cannot go from %s to %s", names[*state], names[to]);
    *state = to;
    return 0;
}
