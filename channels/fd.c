/* SPDX-License-Identifier: BSD-3-Clause */
/* fd.c - a channel over whatever a descriptor is */
#include "file.h"
#include "pipe.h"
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static struct ferry_channel *from_socket(int fd, const char *label, struct ferry_error *err)
{
    int type = 0;
    socklen_t bytes = sizeof(type);
    struct address peer;
    int ret;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 || type != SOCK_STREAM) {
        ferry_error_set(err, -EPROTOTYPE, "%s: is a socket, but not of a stream", label);
        return NULL;
    }
    ret = address_of_peer(fd, &peer);
    if (ret < 0) {
        channel_errno(label, ret, err);
        return NULL;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return socket_channel(fd, label, err);
}

struct ferry_channel *ferry_channel_from_fd(int fd, const char *label, struct ferry_error *err)
{
    enum ferry_direction directions;
    char number[32];
    struct stat st;
    int flags;

    snprintf(number, sizeof(number), "fd:%d", fd);
    label = label ? label : number;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &st) < 0) {
        channel_errno(label, -errno, err);
        return NULL;
    }
    directions = (flags & O_ACCMODE) == O_RDONLY   ? FERRY_READ
                 : (flags & O_ACCMODE) == O_WRONLY ? FERRY_WRITE
                                                   : FERRY_READ_WRITE;
    switch (st.st_mode & S_IFMT) {
    case S_IFSOCK:
        return from_socket(fd, label, err);
    case S_IFIFO:
    case S_IFCHR:
        return pipe_channel(directions & FERRY_READ ? fd : -1, directions & FERRY_WRITE ? fd : -1, label, err);
    case S_IFREG:
    case S_IFBLK:
        return file_channel(fd, directions, label, err);
    default:
        ferry_error_set(err, -EINVAL, "%s: is neither a socket nor a pipe nor a file", label);
        return NULL;
    }
}
