/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_door.c - where QMP clients come in: a unix socket for this user alone, or a descriptor that was handed over */
#include "qmp_door.h"

#include "listener.h"
#include "uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct qmp_door {
    struct ferry_listener *listener; /* NULL: one client, connected from the start */
    bool is_abstract;                /* whose name has no mode */
    int connected;                   /* -1: none, or given away */
};

static int socket_option(int fd, int name)
{
    int value = -1;
    socklen_t bytes = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) < 0 ? -errno : value;
}

static int open_listener(struct qmp_door *door, const char *address, struct ferry_error *err)
{
    mode_t was = umask(0177);

    door->listener = ferry_listener_open(address, err);
    umask(was);
    return door->listener ? 0 : -EINVAL;
}

static int open_kind(struct qmp_door *door, const struct uri *uri, struct ferry_error *err)
{
    if (uri->kind == URI_UNIX) {
        door->is_abstract = uri->name[0] == '@';
        return open_listener(door, uri->text, err);
    }
    if (uri->kind != URI_FD)
        return ferry_error_set(err, -EINVAL, "--qmp %s: who can connect may do everything, so it is unix:PATH or fd:N",
                               uri->text);
    if (socket_option(uri->fd, SO_TYPE) != SOCK_STREAM)
        return ferry_error_set(err, -EINVAL, "--qmp %s: is no stream socket", uri->text);
    if (socket_option(uri->fd, SO_ACCEPTCONN) > 0)
        return open_listener(door, uri->text, err);
    fcntl(uri->fd, F_SETFD, FD_CLOEXEC);
    door->connected = uri->fd;
    return 0;
}

struct qmp_door *qmp_door_open(const char *address, struct ferry_error *err)
{
    struct qmp_door *door = calloc(1, sizeof(*door));
    struct uri uri;
    int ret;

    if (!door) {
        ferry_error_set(err, -ENOMEM, "no memory for QMP");
        return NULL;
    }
    door->connected = -1;
    ret = uri_parse(address, &uri, err);
    if (ret == 0) {
        ret = open_kind(door, &uri, err);
        uri_clear(&uri);
    }
    if (ret == 0)
        return door;
    qmp_door_free(door);
    return NULL;
}

void qmp_door_free(struct qmp_door *door)
{
    if (!door)
        return;
    ferry_listener_free(door->listener);
    if (door->connected >= 0)
        close(door->connected);
    free(door);
}

int qmp_door_fd(const struct qmp_door *door)
{
    return door->listener ? door->listener->sockets[0] : -1;
}

/* The kernel says who called connect(). */
static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

int qmp_door_accept(struct qmp_door *door)
{
    int fd = door->listener ? accept4(door->listener->sockets[0], NULL, NULL, SOCK_CLOEXEC) : -1;

    if (fd < 0 || !door->is_abstract || is_ours(fd))
        return fd;
    close(fd);
    return -1;
}

int qmp_door_connected(struct qmp_door *door)
{
    int fd = door->connected;

    door->connected = -1;
    return fd;
}
