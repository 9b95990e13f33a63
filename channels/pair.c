/* SPDX-License-Identifier: BSD-3-Clause */
/* pair.c - two channels that are each other's other end */
#include "socket.h"

#include <errno.h>
#include <unistd.h>

int ferry_channel_pair(struct ferry_channel *pair[2], struct ferry_error *err)
{
    static const char *const labels[2] = { "socketpair:0", "socketpair:1" };
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return channel_errno("socketpair", -errno, err);
    pair[0] = pair[1] = NULL;
    for (int i = 0; i < 2; i++)
        pair[i] = socket_channel(fds[i], labels[i], err);
    if (pair[0] && pair[1])
        return 0;
    for (int i = 0; i < 2; i++) {
        if (!pair[i])
            close(fds[i]);
        ferry_channel_unref(pair[i]);
        pair[i] = NULL;
    }
    return -ENOMEM;
}
