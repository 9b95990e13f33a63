/* SPDX-License-Identifier: BSD-3-Clause */
/* wait.h - wait for a descriptor, or to be woken */
#ifndef CHANNELS_WAIT_H
#define CHANNELS_WAIT_H

/**
 * wait_fd() - poll one descriptor
 * @fd: -1: only wait to be woken
 * @events: POLLIN or POLLOUT; an error or hang-up counts as ready, the next transfer will tell which
 * @wake_fd: an eventfd of wait_wake_open(), or -1
 * @timeout_ms: -1: no limit
 *
 * Returns 1 when ready, 0 after the timeout, -ESHUTDOWN when woken, or another negative errno.
 */
int wait_fd(int fd, short events, int wake_fd, int timeout_ms);

/* An eventfd that stays readable once it was woken, or a negative errno. */
int wait_wake_open(void);

/* Thread: any. Never blocks.  -1 is legal. */
void wait_wake(int wake_fd);

#endif
