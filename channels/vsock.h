/* SPDX-License-Identifier: BSD-3-Clause */
/* vsock.h - addresses between a host and its guests */
#ifndef CHANNELS_VSOCK_H
#define CHANNELS_VSOCK_H

#include "address.h"
#include "uri.h"

/* The address of a vsock URI to connect to; an empty cid is this machine's loopback. */
void vsock_address(const struct uri *uri, struct address *address);

/* A listening socket or a negative errno.  An empty cid is any; port 0 takes a free one. */
int vsock_listen(const struct uri *uri);

/* Where others connect to reach @fd: any cid becomes the one this machine is known by. */
int vsock_reachable(int fd, struct address *address);

#endif
