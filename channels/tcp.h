/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp.h - names and addresses of TCP */
#ifndef CHANNELS_TCP_H
#define CHANNELS_TCP_H

#include "address.h"
#include "uri.h"

#include <ferry/error.h>

/**
 * tcp_resolve() - the addresses that a tcp URI stands for, best first
 * @room: of @list
 *
 * Asks the name service, which may take its time.  An empty host is this host.  Returns how many (at least 1) or a
 * negative errno.
 */
int tcp_resolve(const struct uri *uri, struct address *list, int room, struct ferry_error *err);

/**
 * tcp_listen() - listen on every address that a tcp URI stands for, all on the same port
 * @sockets: filled with listening sockets, the caller's
 *
 * An empty host is every address of this host.  Returns how many sockets or a negative errno.
 */
int tcp_listen(const struct uri *uri, int *sockets, int room, struct ferry_error *err);

#endif
