/* SPDX-License-Identifier: BSD-3-Clause */
/* unix.c - names of unix sockets, in the file system and abstract */
#include "unix.h"

#include "channel.h"
#include "socket.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

void unix_address(const struct uri *uri, struct address *address)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t bytes = strlen(uri->name);

    memset(address, 0, sizeof(*address));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, uri->name, bytes);
    /* An abstract name is exactly as long as it is; a path has its NUL. */
    if (uri->name[0] == '@')
        un->sun_path[0] = '\0';
    else
        bytes++;
    address->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
}

/* A socket's name outlives its socket; only connecting tells whether anyone is there.  A datagram socket asks without
 * being let in (-EPROTOTYPE: someone is there), where a stream would be a connection for the other to accept. */
static bool is_stale(const char *path, const struct address *address)
{
    struct stat st;
    bool stale;
    int fd;

    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, &address->any, address->bytes) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int remember_name(const char *path, struct ferry_listener *listener)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -errno;
    listener->path = strdup(path);
    if (!listener->path)
        return -ENOMEM;
    listener->path_dev = st.st_dev;
    listener->path_ino = st.st_ino;
    return 0;
}

int unix_listen(const struct uri *uri, struct ferry_listener *listener, struct ferry_error *err)
{
    bool abstract = uri->name[0] == '@';
    struct address address;
    int fd, ret;

    unix_address(uri, &address);
    fd = socket_listen(&address, false);
    if (fd == -EADDRINUSE && !abstract && is_stale(uri->name, &address)) {
        unlink(uri->name);
        fd = socket_listen(&address, false);
    }
    if (fd < 0)
        return channel_errno(uri->text, fd, err);
    ret = abstract ? 0 : remember_name(uri->name, listener);
    if (ret < 0) {
        close(fd);
        unlink(uri->name);
        return channel_errno(uri->text, ret, err);
    }
    listener->sockets[listener->count++] = fd;
    return 0;
}

void unix_remove(struct ferry_listener *listener)
{
    struct stat st;

    if (listener->path && lstat(listener->path, &st) == 0 && st.st_dev == listener->path_dev &&
        st.st_ino == listener->path_ino)
        unlink(listener->path);
    free(listener->path);
    listener->path = NULL;
}
