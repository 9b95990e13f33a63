/* SPDX-License-Identifier: BSD-3-Clause */
/* exposed.c - whether somebody on another machine could connect
 *
 * Asked of the sockets that listen, not of the words they were made from: a name may stand for many addresses.
 */
#include "exposed.h"

#include "address.h"
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdbool.h>

#define CID_LOCAL 1 /* VMADDR_CID_LOCAL, which older headers lack */

static bool is_loopback4(uint32_t network_order)
{
    return ntohl(network_order) >> 24 == 127;
}

static bool is_local(const struct address *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&address->storage;

    switch (address->any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return is_loopback4(in->sin_addr.s_addr);
    case AF_INET6:
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            return is_loopback4(in6->sin6_addr.s6_addr32[3]);
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    case AF_VSOCK:
        return vm->svm_cid == CID_LOCAL;
    default:
        return false;
    }
}

int exposed_refuse(const struct ferry_listener *listener, struct ferry_error *err)
{
    for (int i = 0; i < listener->count; i++) {
        struct address self;
        int ret = address_of_self(listener->sockets[i], &self);

        if (ret == 0 && is_local(&self))
            continue;
        ferry_error_set(err, -EACCES, "%s: can be reached from other machines, and nothing here is encrypted",
                        ferry_listener_address(listener));
        ferry_error_hint(err, "give --tls-creds (see 'ferry keys'), listen on 127.0.0.1, or --insecure if everyone who "
                              "can connect is trusted");
        return -EACCES;
    }
    return 0;
}
