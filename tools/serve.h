/* SPDX-License-Identifier: BSD-3-Clause */
/* serve.h - `ferry recv --serve`: one migration after another, on the same sockets */
#ifndef TOOLS_SERVE_H
#define TOOLS_SERVE_H

#include "side.h"

struct serve_ops {
    /* Thread: one of its own; fills @side->made. */
    int (*make_guest)(void *side);
    /* One migration, over @side->listener into @side->guest; @title stays empty where it failed. */
    enum exit_status (*receive)(struct side *side, char *title, size_t room);
};

/**
 * serve() - receive until a signal comes, or nobody for as long as --timeout says
 * @side: with a guest made and the listener open; taken
 *
 * What becomes of each migration is reported, and changes nothing for the next.  Returns what to exit with: EXIT_DONE
 * unless it could not go on.
 */
enum exit_status serve(struct side *side, const struct serve_ops *ops);

#endif
