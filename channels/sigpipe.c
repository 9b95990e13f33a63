/* SPDX-License-Identifier: BSD-3-Clause */
/* sigpipe.c - for system calls that raise SIGPIPE and have no MSG_NOSIGNAL */
#include "sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static void only_sigpipe(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void sigpipe_hold(struct sigpipe *held)
{
    sigset_t pipe_set, pending;

    only_sigpipe(&pipe_set);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &held->old);
    held->was_pending = false;
    if (sigismember(&held->old, SIGPIPE)) {
        sigpending(&pending);
        held->was_pending = sigismember(&pending, SIGPIPE);
    }
}

void sigpipe_release(struct sigpipe *held, bool raised)
{
    int saved = errno;
    sigset_t pipe_set;

    only_sigpipe(&pipe_set);
    if (raised && !held->was_pending)
        while (sigtimedwait(&pipe_set, NULL, &(struct timespec){ 0 }) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &held->old, NULL);
    errno = saved;
}
