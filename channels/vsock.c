/* SPDX-License-Identifier: BSD-3-Clause */
/* vsock.c - addresses between a host and its guests */
#include "vsock.h"

#include "socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static struct sockaddr_vm *vm_of(struct address *address)
{
    return (struct sockaddr_vm *)&address->storage;
}

void vsock_address(const struct uri *uri, struct address *address)
{
    memset(address, 0, sizeof(*address));
    vm_of(address)->svm_family = AF_VSOCK;
    vm_of(address)->svm_cid = uri->cid == VMADDR_CID_ANY ? VMADDR_CID_LOCAL : uri->cid;
    vm_of(address)->svm_port = uri->port;
    address->bytes = sizeof(struct sockaddr_vm);
}

int vsock_listen(const struct uri *uri)
{
    struct address address;

    vsock_address(uri, &address);
    vm_of(&address)->svm_cid = uri->cid;
    if (uri->port == 0)
        vm_of(&address)->svm_port = VMADDR_PORT_ANY;
    return socket_listen(&address, false);
}

int vsock_reachable(int fd, struct address *address)
{
    int ret = address_of_self(fd, address);
    unsigned cid = VMADDR_CID_LOCAL;
    int dev;

    if (ret < 0 || vm_of(address)->svm_cid != VMADDR_CID_ANY)
        return ret;
    dev = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    if (dev >= 0) {
        if (ioctl(dev, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0 || cid == VMADDR_CID_ANY)
            cid = VMADDR_CID_LOCAL;
        close(dev);
    }
    vm_of(address)->svm_cid = cid;
    return 0;
}
