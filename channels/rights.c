/* SPDX-License-Identifier: BSD-3-Clause */
/* rights.c - descriptors passed over unix sockets (SCM_RIGHTS) */
#include "rights.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the one we want, or a sender of two would hide the second in the alignment's slack. */
#define MAX_PASSED 4

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MAX_PASSED * sizeof(int))];
};

int rights_send(int fd, int passed)
{
    union control control = { 0 };
    struct iovec iov = { (char[]){ 0 }, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
    struct cmsghdr *head;

    msg.msg_controllen = CMSG_SPACE(sizeof(int));
    head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &passed, sizeof(int));
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Keeps the first descriptor in *@kept (when it is -1 yet), closes the others and returns how many there were. */
static int take(struct cmsghdr *head, int *kept)
{
    int count = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));

    for (int i = 0; i < count; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(head) + (size_t)i * sizeof(int), sizeof(int));
        if (*kept < 0)
            *kept = fd;
        else
            close(fd);
    }
    return count;
}

int rights_receive(int fd)
{
    union control control = { 0 };
    char byte;
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
    int count = 0, kept = -1;
    ssize_t got;

    msg.msg_controllen = sizeof(control);
    got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&msg); head; head = CMSG_NXTHDR(&msg, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
            count += take(head, &kept);
    if (got == 1 && count == 1 && !(msg.msg_flags & MSG_CTRUNC))
        return kept;
    if (kept >= 0)
        close(kept);
    return got == 0 ? -ENODATA : -EPROTO;
}
