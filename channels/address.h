/* SPDX-License-Identifier: BSD-3-Clause */
/* address.h - socket addresses as people write them */
#ifndef CHANNELS_ADDRESS_H
#define CHANNELS_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

/* Room for the longest: "unix:" and a path. */
#define ADDRESS_BYTES 160

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    };
    socklen_t bytes;
};

/* "tcp:192.0.2.7:4444", "tcp:[::1]:4444", "unix:/run/x", "unix:@name", "vsock:2:4444"; an unnamed unix socket is
 * "unix:".  Returns @to. */
char *address_format(const struct address *address, char *to, size_t room);

/* Who is at the other end / where this socket is bound.  Return 0 or a negative errno. */
int address_of_peer(int fd, struct address *address);
int address_of_self(int fd, struct address *address);

#endif
