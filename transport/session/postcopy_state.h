/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_state.h - how far a destination has come on the way into postcopy, and what may follow what
 *
 *      none -> advise -> discard -> listen -> running -> end
 *                  '----------------^
 */
#ifndef SESSION_POSTCOPY_STATE_H
#define SESSION_POSTCOPY_STATE_H

#include <stdbool.h>

enum postcopy_state {
    POSTCOPY_NONE,
    POSTCOPY_ADVISE,  /* it may come, and can be done here */
    POSTCOPY_DISCARD, /* pages are dropped that will come again */
    POSTCOPY_LISTEN,  /* touches are answered; devices are loaded */
    POSTCOPY_RUNNING, /* the guest runs here */
    POSTCOPY_END,     /* all of its memory is here */
};

bool postcopy_state_allowed(enum postcopy_state from, enum postcopy_state to);
const char *postcopy_state_name(enum postcopy_state state);

#endif
