/* SPDX-License-Identifier: BSD-3-Clause */
/* listener.c - the receiving end of a URI
 *
 * tcp, unix and vsock (and an inherited socket that listens) give one channel after another; whatever is open already
 * (fd, exec, file) is opened with the listener, so that what is wrong with it is said early, and given once.
 */
#include "listener.h"

#include "channel.h"
#include "clock.h"
#include "exec.h"
#include "socket.h"
#include "tcp.h"
#include "unix.h"
#include "uri.h"
#include "vsock.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Out of descriptors or memory: those that others close in the meantime may do, for this long. */
#define SHORTAGE_PATIENCE_MS 1000
#define SHORTAGE_RETRY_MS    50

static bool is_listening(int fd)
{
    int value = 0;
    socklen_t bytes = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes) == 0 && value;
}

static int open_fd(const struct uri *uri, struct ferry_listener *listener, struct ferry_error *err)
{
    int flags;

    if (!is_listening(uri->fd)) {
        listener->only = ferry_channel_from_fd(uri->fd, NULL, err);
        return listener->only ? 0 : -EBADF;
    }
    flags = fcntl(uri->fd, F_GETFL);
    if (flags < 0 || fcntl(uri->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return channel_errno(uri->text, -errno, err);
    fcntl(uri->fd, F_SETFD, FD_CLOEXEC);
    listener->inherited_flags = flags;
    listener->sockets[listener->count++] = uri->fd;
    return 0;
}

static int open_kind(const struct uri *uri, struct ferry_listener *listener, struct ferry_error *err)
{
    int ret;

    switch (uri->kind) {
    case URI_TCP:
        ret = tcp_listen(uri, listener->sockets, LISTENER_MAX_SOCKETS, err);
        listener->count = ret < 0 ? 0 : ret;
        return ret;
    case URI_UNIX:
        return unix_listen(uri, listener, err);
    case URI_VSOCK:
        ret = vsock_listen(uri);
        if (ret < 0)
            return channel_errno(uri->text, ret, err);
        listener->sockets[listener->count++] = ret;
        return 0;
    case URI_FD:
        return open_fd(uri, listener, err);
    case URI_EXEC:
        listener->only = exec_shell(uri->name, err);
        return listener->only ? 0 : -EIO;
    case URI_FILE:
        listener->only = ferry_channel_open_file(uri->name, FERRY_READ, uri->offset, uri->direct, err);
        return listener->only ? 0 : -EIO;
    }
    return -EINVAL;
}

/* What others connect to.  A port that was taken freely is known only now. */
static char *describe(const struct uri *uri, const struct ferry_listener *listener)
{
    struct address self;
    char text[ADDRESS_BYTES];
    int ret = -EINVAL;

    if (uri->kind == URI_TCP || (uri->kind == URI_FD && listener->count > 0))
        ret = address_of_self(listener->sockets[0], &self);
    else if (uri->kind == URI_VSOCK)
        ret = vsock_reachable(listener->sockets[0], &self);
    return strdup(ret < 0 ? uri->text : address_format(&self, text, sizeof(text)));
}

struct ferry_listener *ferry_listener_open(const char *text, struct ferry_error *err)
{
    struct ferry_listener *listener;
    struct uri uri;

    if (uri_parse(text, &uri, err) < 0)
        return NULL;
    listener = calloc(1, sizeof(*listener));
    if (!listener) {
        channel_errno(text, -ENOMEM, err);
        goto fail;
    }
    listener->inherited_flags = -1;
    atomic_init(&listener->stopped, false);
    listener->wake = wait_wake_open();
    if (listener->wake < 0) {
        channel_errno(text, listener->wake, err);
        goto fail;
    }
    if (open_kind(&uri, listener, err) < 0)
        goto fail;
    listener->address = describe(&uri, listener);
    if (!listener->address) {
        channel_errno(text, -ENOMEM, err);
        goto fail;
    }
    uri_clear(&uri);
    return listener;

fail:
    uri_clear(&uri);
    ferry_listener_free(listener);
    return NULL;
}

static int copy_sockets(const struct ferry_listener *from, struct ferry_listener *to, struct ferry_error *err)
{
    to->wake = wait_wake_open();
    if (to->wake < 0)
        return channel_errno(from->address, to->wake, err);
    to->address = strdup(from->address);
    if (!to->address)
        return channel_errno(from->address, -ENOMEM, err);
    for (int i = 0; i < from->count; i++) {
        int fd = fcntl(from->sockets[i], F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
            return channel_errno(from->address, -errno, err);
        to->sockets[to->count++] = fd;
    }
    return 0;
}

struct ferry_listener *listener_again(const struct ferry_listener *listener, struct ferry_error *err)
{
    struct ferry_listener *again;

    if (listener->count == 0) {
        ferry_error_set(err, -EINVAL, "%s: gives one channel only", listener->address);
        return NULL;
    }
    again = calloc(1, sizeof(*again));
    if (!again) {
        channel_errno(listener->address, -ENOMEM, err);
        return NULL;
    }
    again->inherited_flags = again->wake = -1;
    atomic_init(&again->stopped, false);
    if (copy_sockets(listener, again, err) == 0)
        return again;
    ferry_listener_free(again);
    return NULL;
}

const char *ferry_listener_address(const struct ferry_listener *listener)
{
    return listener->address;
}

static int stopped(struct ferry_listener *listener, struct ferry_error *err)
{
    return ferry_error_set(err, -ESHUTDOWN, "%s: stopped listening", listener->address);
}

/* The connection was gone before it was accepted, or the network has a moment: look for the next. */
static bool is_transient(int error)
{
    return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
           error == ENETUNREACH || error == EHOSTUNREACH || error == EHOSTDOWN || error == ENONET ||
           error == ENOPROTOOPT || error == EOPNOTSUPP;
}

static bool is_shortage(int errnum)
{
    return errnum == -EMFILE || errnum == -ENFILE || errnum == -ENOBUFS || errnum == -ENOMEM;
}

/* Returns a descriptor, -EAGAIN after a wait for nothing, -ETIMEDOUT, -ESHUTDOWN, -EINTR or what accept said. */
static int wait_and_accept(struct ferry_listener *listener, int timeout_ms, int wake_fd)
{
    struct pollfd polled[LISTENER_MAX_SOCKETS + 2];
    int ready;

    for (int i = 0; i < listener->count; i++)
        polled[i] = (struct pollfd){ .fd = listener->sockets[i], .events = POLLIN };
    polled[listener->count] = (struct pollfd){ .fd = listener->wake, .events = POLLIN };
    polled[listener->count + 1] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
    ready = poll(polled, (nfds_t)listener->count + 2, timeout_ms);
    if (ready < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (ready == 0)
        return -ETIMEDOUT;
    if (polled[listener->count].revents)
        return -ESHUTDOWN;
    if (polled[listener->count + 1].revents)
        return -EINTR;
    for (int i = 0; i < listener->count; i++) {
        int fd = polled[i].revents ? accept4(listener->sockets[i], NULL, NULL, SOCK_CLOEXEC) : -1;

        if (fd >= 0)
            return fd;
        if (polled[i].revents && !is_transient(errno))
            return -errno;
    }
    return -EAGAIN;
}

static int accept_fd(struct ferry_listener *listener, int timeout_ms, int wake_fd, struct ferry_error *err)
{
    int64_t deadline_ns = clock_deadline_ns(timeout_ms);
    int64_t shortage_ns = -1;
    int ret;

    for (;;) {
        ret = wait_and_accept(listener, clock_left_ms(deadline_ns), wake_fd);
        if (ret >= 0)
            return ret;
        if (is_shortage(ret)) {
            shortage_ns = shortage_ns < 0 ? clock_deadline_ns(SHORTAGE_PATIENCE_MS) : shortage_ns;
            if (clock_left_ms(shortage_ns) == 0 || clock_left_ms(deadline_ns) == 0)
                break;
            ret = wait_fd(-1, 0, listener->wake, SHORTAGE_RETRY_MS);
        }
        if (ret < 0 && ret != -EAGAIN)
            break;
    }
    if (ret == -ESHUTDOWN)
        return stopped(listener, err);
    if (ret == -EINTR)
        return ferry_error_set(err, ret, "%s: called off", listener->address);
    if (ret == -ETIMEDOUT)
        return ferry_error_set_code(err, FERRY_E_NOBODY_CONNECTED, ret, "%s: nobody connected within %d ms",
                                    listener->address, timeout_ms);
    return channel_errno(listener->address, ret, err);
}

struct ferry_channel *listener_accept(struct ferry_listener *listener, int timeout_ms, int wake_fd,
                                      struct ferry_error *err)
{
    struct ferry_channel *chan;
    bool is_unix;
    int fd;

    if (atomic_load(&listener->stopped)) {
        stopped(listener, err);
        return NULL;
    }
    if (listener->count == 0) {
        chan = atomic_exchange(&listener->only, NULL);
        if (!chan)
            ferry_error_set(err, -ENOENT, "%s: gives one channel only", listener->address);
        return chan;
    }
    fd = accept_fd(listener, timeout_ms, wake_fd, err);
    if (fd < 0)
        return NULL;
    /* Who connects to a unix socket has no name: it goes by ours. */
    is_unix = !strncmp(listener->address, "unix:", 5);
    chan = socket_channel(fd, is_unix ? listener->address : NULL, err);
    if (!chan)
        close(fd);
    return chan;
}

struct ferry_channel *ferry_listener_accept(struct ferry_listener *listener, int timeout_ms, struct ferry_error *err)
{
    return listener_accept(listener, timeout_ms, -1, err);
}

bool listener_gives_many(const struct ferry_listener *listener)
{
    return listener->count > 0;
}

void ferry_listener_stop(struct ferry_listener *listener)
{
    atomic_store(&listener->stopped, true);
    wait_wake(listener->wake);
}

void ferry_listener_free(struct ferry_listener *listener)
{
    if (!listener)
        return;
    /* First the name, or someone could meet one that refuses. */
    unix_remove(listener);
    if (listener->inherited_flags >= 0)
        fcntl(listener->sockets[0], F_SETFL, listener->inherited_flags);
    for (int i = 0; i < listener->count; i++)
        close(listener->sockets[i]);
    if (listener->wake >= 0)
        close(listener->wake);
    ferry_channel_unref(atomic_load(&listener->only));
    free(listener->address);
    free(listener);
}
