/* SPDX-License-Identifier: BSD-3-Clause */
/* unix.h - names of unix sockets, in the file system and abstract */
#ifndef CHANNELS_UNIX_H
#define CHANNELS_UNIX_H

#include "address.h"
#include "listener.h"
#include "uri.h"

/* The address of a unix URI, whose length uri_parse() has checked. */
void unix_address(const struct uri *uri, struct address *address);

/* Listen there; a name left behind by someone who is gone is replaced, one in use is -EADDRINUSE. */
int unix_listen(const struct uri *uri, struct ferry_listener *listener, struct ferry_error *err);

/* Remove the name that unix_listen() made, unless it is someone else's by now. */
void unix_remove(struct ferry_listener *listener);

#endif
