/* SPDX-License-Identifier: BSD-3-Clause */
/* sigpipe.h - for system calls that raise SIGPIPE and have no MSG_NOSIGNAL
 *
 *      sigpipe_hold(&held);
 *      done = write(...);
 *      sigpipe_release(&held, done < 0 && errno == EPIPE);
 *
 * The signal goes to the thread that writes: it is held back there, and when it came, swallowed - but not one that the
 * caller held back before.  errno stays as it is.
 */
#ifndef CHANNELS_SIGPIPE_H
#define CHANNELS_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
    sigset_t old;
    bool was_pending;
};

void sigpipe_hold(struct sigpipe *held);

void sigpipe_release(struct sigpipe *held, bool raised);

#endif
