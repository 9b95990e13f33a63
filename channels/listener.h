/* SPDX-License-Identifier: BSD-3-Clause */
/* listener.h - what the kinds of listener fill in */
#ifndef CHANNELS_LISTENER_H
#define CHANNELS_LISTENER_H

#include <ferry/channel.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#define LISTENER_MAX_SOCKETS 8

struct ferry_listener {
    int sockets[LISTENER_MAX_SOCKETS]; /* listening, non-blocking; owned */
    int count;                         /* 0: `only` is all there is */
    int inherited_flags;               /* of an inherited socket, set back at the end; -1: none */
    int wake;                          /* eventfd; owned */
    atomic_bool stopped;
    _Atomic(struct ferry_channel *) only; /* the one channel of fd, exec and file, until it was given */
    char *address;
    char *path; /* unix: the name made, removed at the end if it is still the same file */
    dev_t path_dev;
    ino_t path_ino;
};

/**
 * listener_accept() - ferry_listener_accept() that can be called off without stopping the listener
 * @wake_fd: an eventfd of wait_wake_open(), or -1; NULL with -EINTR once it is readable
 */
struct ferry_channel *listener_accept(struct ferry_listener *listener, int timeout_ms, int wake_fd,
                                      struct ferry_error *err);

/**
 * listener_again() - another listener on the same sockets
 *
 * Who stops or frees it leaves @listener as it was; the name of a unix socket stays @listener's.  Until somebody
 * accepts there, connections wait in the kernel.  NULL with @err set: -EINVAL where only one connection can come.
 */
struct ferry_listener *listener_again(const struct ferry_listener *listener, struct ferry_error *err);

/* Can more than one connection come? */
bool listener_gives_many(const struct ferry_listener *listener);

#endif
