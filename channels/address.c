/* SPDX-License-Identifier: BSD-3-Clause */
/* address.c - socket addresses as people write them */
#include "address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

static void format_inet(const struct address *address, char *to, size_t room)
{
    struct address plain = *address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&plain.storage;
    char host[NI_MAXHOST], port[NI_MAXSERV];

    /* A v4 peer of a listener on [::] is still 192.0.2.7 to people. */
    if (plain.storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = in6->sin6_port };

        memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], sizeof(in.sin_addr));
        memcpy(&plain.storage, &in, sizeof(in));
        plain.bytes = sizeof(in);
    }
    if (getnameinfo(&plain.any, plain.bytes, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(to, room, "tcp:?");
    else
        snprintf(to, room, strchr(host, ':') ? "tcp:[%s]:%s" : "tcp:%s:%s", host, port);
}

static void format_unix(const struct address *address, char *to, size_t room)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    int bytes = address->bytes > head ? (int)(address->bytes - head) : 0;

    if (bytes == 0)
        snprintf(to, room, "unix:");
    else if (un->sun_path[0] == '\0')
        snprintf(to, room, "unix:@%.*s", bytes - 1, un->sun_path + 1);
    else
        snprintf(to, room, "unix:%.*s", bytes, un->sun_path);
}

char *address_format(const struct address *address, char *to, size_t room)
{
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&address->storage;

    switch (address->storage.ss_family) {
    case AF_INET:
    case AF_INET6:
        format_inet(address, to, room);
        break;
    case AF_UNIX:
        format_unix(address, to, room);
        break;
    case AF_VSOCK:
        snprintf(to, room, "vsock:%u:%u", vm->svm_cid, vm->svm_port);
        break;
    default:
        snprintf(to, room, "socket");
    }
    return to;
}

int address_of_peer(int fd, struct address *address)
{
    memset(address, 0, sizeof(*address));
    address->bytes = sizeof(address->storage);
    return getpeername(fd, &address->any, &address->bytes) < 0 ? -errno : 0;
}

int address_of_self(int fd, struct address *address)
{
    memset(address, 0, sizeof(*address));
    address->bytes = sizeof(address->storage);
    return getsockname(fd, &address->any, &address->bytes) < 0 ? -errno : 0;
}
