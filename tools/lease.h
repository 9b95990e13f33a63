/* SPDX-License-Identifier: BSD-3-Clause */
/* lease.h - the end of a migration left something to decide: the guest is kept, until it is decided or let go */
#ifndef TOOLS_LEASE_H
#define TOOLS_LEASE_H

#include "side.h"

/**
 * lease_wait() - keep the guest of a session that ended with -EOWNERDEAD, as long as --lease says
 * @err: why; becomes the session's new end
 *
 * As soon as --other-journal names a journal that decides it, it is settled by that.  A signal lets go.
 * Returns 0 when the session has completed after all, or its error: -EOWNERDEAD when nothing was decided.
 */
int lease_wait(struct side *side, struct ferry_error *err);

#endif
