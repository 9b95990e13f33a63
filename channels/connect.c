/* SPDX-License-Identifier: BSD-3-Clause */
/* connect.c - the sending end of a URI, tried until it answers or time is up */
#include "channel.h"
#include "clock.h"
#include "exec.h"
#include "socket.h"
#include "tcp.h"
#include "unix.h"
#include "uri.h"
#include "vsock.h"

#include <errno.h>
#include <unistd.h>

#define MAX_ADDRESSES 16
#define RETRY_NS      (20 * NS_PER_MS)
/* One try (no timeout was given) is not left to the kernel, which would try for minutes. */
#define ONE_TRY_MS 10000

/* Nobody is there *yet*: refused, no such name, or so many are waiting that the queue is full.  vsock says "reset". */
static bool is_early(int errnum, enum uri_kind kind)
{
    return errnum == -ECONNREFUSED || (kind == URI_UNIX && (errnum == -ENOENT || errnum == -EAGAIN)) ||
           (kind == URI_VSOCK && errnum == -ECONNRESET);
}

/* Each address but the last gets its share of what is left, or one that never answers would use up all of it. */
static int64_t share_of(int64_t deadline_ns, int addresses_left)
{
    int64_t now;

    if (deadline_ns < 0 || addresses_left <= 1)
        return deadline_ns;
    now = clock_now_ns();
    return now + (deadline_ns > now ? (deadline_ns - now) / addresses_left : 0);
}

/* One round over all addresses.  Of several errors, one that is worth a retry is the one to report. */
static int try_all(const struct uri *uri, const struct address *list, int count, int64_t deadline_ns)
{
    int error = 0;

    for (int i = 0; i < count; i++) {
        int fd = socket_connect(&list[i], share_of(deadline_ns, count - i));

        if (fd >= 0)
            return fd;
        if (error == 0 || is_early(fd, uri->kind))
            error = fd;
    }
    return error;
}

static int explain(const struct uri *uri, int errnum, struct ferry_error *err)
{
    if (uri->kind == URI_VSOCK && errnum == -ECONNRESET)
        errnum = -ECONNREFUSED;
    if (errnum == -EAGAIN)
        ferry_error_set(err, errnum, "%s: too many others are waiting to be accepted", uri->text);
    else
        channel_errno(uri->text, errnum, err);
    if (errnum == -ENOENT)
        ferry_error_code(err, FERRY_E_CONNECTION_REFUSED);
    else if (errnum == -EAGAIN || errnum == -ETIMEDOUT)
        ferry_error_code(err, FERRY_E_CONNECTION_TIMEOUT);
    ferry_error_object(err, "%s", uri->text);
    if (errnum == -ECONNREFUSED || errnum == -ENOENT)
        ferry_error_hint(err, "is 'ferry recv' running there?");
    else if (errnum == -ETIMEDOUT || errnum == -EHOSTUNREACH)
        ferry_error_hint(err, "is the address right, and no firewall in between?");
    return errnum;
}

static int resolve(const struct uri *uri, struct address *list, struct ferry_error *err)
{
    switch (uri->kind) {
    case URI_TCP:
        if (uri->port == 0)
            return ferry_error_set(err, -EINVAL, "%s: port 0 is only for listening", uri->text);
        return tcp_resolve(uri, list, MAX_ADDRESSES, err);
    case URI_UNIX:
        unix_address(uri, list);
        return 1;
    default:
        vsock_address(uri, list);
        return 1;
    }
}

static struct ferry_channel *connect_socket(const struct uri *uri, int timeout_ms, struct ferry_error *err)
{
    struct address list[MAX_ADDRESSES];
    int64_t deadline_ns = clock_deadline_ns(timeout_ms);
    struct ferry_channel *chan;
    int count, fd;

    count = resolve(uri, list, err);
    if (count < 0)
        return NULL;
    for (;;) {
        fd = try_all(uri, list, count, timeout_ms == 0 ? clock_deadline_ns(ONE_TRY_MS) : deadline_ns);
        if (fd >= 0 || !is_early(fd, uri->kind) || clock_left_ms(deadline_ns) == 0)
            break;
        clock_sleep_until_ns(clock_now_ns() + RETRY_NS);
    }
    if (fd < 0) {
        explain(uri, fd, err);
        return NULL;
    }
    /* The peer of a unix socket may go by a relative path, or by none: here the URI is the better name. */
    chan = socket_channel(fd, uri->kind == URI_UNIX ? uri->text : NULL, err);
    if (!chan)
        close(fd);
    return chan;
}

struct ferry_channel *ferry_channel_connect(const char *text, int timeout_ms, struct ferry_error *err)
{
    struct ferry_channel *chan = NULL;
    struct uri uri;

    if (uri_parse(text, &uri, err) < 0)
        return NULL;
    switch (uri.kind) {
    case URI_TCP:
    case URI_UNIX:
    case URI_VSOCK:
        chan = connect_socket(&uri, timeout_ms, err);
        break;
    case URI_FD:
        chan = ferry_channel_from_fd(uri.fd, NULL, err);
        break;
    case URI_EXEC:
        chan = exec_shell(uri.name, err);
        break;
    case URI_FILE:
        chan = ferry_channel_open_file(uri.name, FERRY_WRITE, uri.offset, uri.direct, err);
        break;
    }
    uri_clear(&uri);
    return chan;
}
