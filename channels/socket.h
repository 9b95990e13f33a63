/* SPDX-License-Identifier: BSD-3-Clause */
/* socket.h - the channel over a connected stream socket, of whatever family */
#ifndef CHANNELS_SOCKET_H
#define CHANNELS_SOCKET_H

#include "address.h"
#include "channel.h"

/**
 * socket_channel() - a channel over a connected socket
 * @fd: taken on success; O_NONBLOCK is neither needed nor changed
 * @label: NULL: the address of the peer
 */
struct ferry_channel *socket_channel(int fd, const char *label, struct ferry_error *err);

/* One try to connect, given up at @deadline_ns (clock.h; -1: when the kernel does).  Returns a descriptor or a negative
 * errno. */
int socket_connect(const struct address *address, int64_t deadline_ns);

/* A listening socket, or a negative errno.  @dual_stack: a v6 wildcard takes v4 too. */
int socket_listen(const struct address *address, bool dual_stack);

#endif
