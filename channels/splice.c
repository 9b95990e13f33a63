/* SPDX-License-Identifier: BSD-3-Clause */
/* splice.c - what a socket sends straight out of the sender's memory by way of a pipe (vmsplice, splice) */
#include "splice.h"

#include "iov.h"
#include "sigpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* As many pages as an unprivileged process may have waiting in a pipe by default (fs.pipe-max-size).  A smaller one
 * costs more calls and works as well. */
#define PIPE_BYTES (1024 * 1024)

int splice_open(struct splice *by)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    (void)!fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    *by = (struct splice){ .in = ends[1], .out = ends[0] };
    return 0;
}

void splice_close(struct splice *by)
{
    if (by->in >= 0)
        close(by->in);
    if (by->out >= 0)
        close(by->out);
    *by = (struct splice){ .in = -1, .out = -1 };
}

/* How many of the first elements go the same way. */
static int same_way(const bool *lent, int count)
{
    int same = 1;

    if (!lent)
        return count < IOV_MAX ? count : IOV_MAX;
    while (same < count && same < IOV_MAX && lent[same] == lent[0])
        same++;
    return same;
}

ssize_t splice_fill(struct splice *by, const struct iovec *iov, const bool *lent, int count)
{
    by->filled = by->in_socket = 0;
    while (count > 0) {
        int same = same_way(lent, count);
        size_t wanted = iov_bytes(iov, same);
        ssize_t done =
            !lent || lent[0] ? vmsplice(by->in, iov, (size_t)same, SPLICE_F_NONBLOCK) : writev(by->in, iov, same);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && by->filled == 0)
            return -errno;
        if (done > 0)
            by->filled += (size_t)done;
        if (done < 0 || (size_t)done < wanted)
            break;
        iov += same;
        count -= same;
        lent = lent ? lent + same : NULL;
    }
    return (ssize_t)by->filled;
}

int splice_drain(struct splice *by, int fd, bool more)
{
    unsigned flags = SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
    struct sigpipe held;
    int ret = 0;

    sigpipe_hold(&held);
    while (ret == 0 && by->in_socket < by->filled) {
        ssize_t done = splice(by->out, NULL, fd, NULL, by->filled - by->in_socket, flags);

        if (done > 0)
            by->in_socket += (size_t)done;
        else if (done == 0 || errno != EINTR)
            ret = done == 0 ? -EPIPE : -errno;
    }
    sigpipe_release(&held, ret == -EPIPE);
    return ret;
}
