/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_state.c - how far a destination has come on the way into postcopy, and what may follow what */
#include "postcopy_state.h"

#define TO(state) (1u << (state))

static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [POSTCOPY_NONE] = { "none", TO(POSTCOPY_ADVISE) },
    [POSTCOPY_ADVISE] = { "advise", TO(POSTCOPY_DISCARD) | TO(POSTCOPY_LISTEN) },
    [POSTCOPY_DISCARD] = { "discard", TO(POSTCOPY_DISCARD) | TO(POSTCOPY_LISTEN) },
    [POSTCOPY_LISTEN] = { "listen", TO(POSTCOPY_RUNNING) },
    [POSTCOPY_RUNNING] = { "running", TO(POSTCOPY_END) },
    [POSTCOPY_END] = { "end", 0 },
};

bool postcopy_state_allowed(enum postcopy_state from, enum postcopy_state to)
{
    return states[from].next & TO(to);
}

const char *postcopy_state_name(enum postcopy_state state)
{
    return states[state].name;
}
