/* SPDX-License-Identifier: BSD-3-Clause */
/* socket_send.c - the three ways in which a socket channel sends: a copy, pages with a notice, pages by a pipe
 *
 *      writev       sendmsg                   the kernel copies
 *      writev_lent  sendmsg(MSG_ZEROCOPY)     it refers, and says when it is done: zerocopy.h
 *                   vmsplice, splice          it refers, and says nothing: splice.h
 *
 * Whichever is found not to work on a socket is given up for good, and the bytes are copied.
 */
#include "clock.h"
#include "iov.h"
#include "log.h"
#include "socket_parts.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SYNC_LOOK_MS       50          /* a notice wakes at once; this is for a shutdown that comes in between */
#define SPLICE_WORTH_BYTES (64 * 1024) /* below, filling a pipe costs more than a copy */

/* Of an established connection: that it has timed out means that the peer's host no longer answers. */
int socket_failed(struct ferry_channel *chan, int errnum, struct ferry_error *err)
{
    channel_errno(chan->label, errnum, err);
    if (errnum == -ETIMEDOUT)
        ferry_error_code(err, FERRY_E_PEER_SILENT);
    return errnum;
}

static ssize_t send_some(struct socket_channel *sock, const struct iovec *iov, int count, bool lent,
                         struct ferry_error *err)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    int ret;

    for (;;) {
        ssize_t done = sendmsg(sock->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT | (lent ? MSG_ZEROCOPY : 0));

        if (done >= 0) {
            if (lent)
                zero_copy_sent(sock->zc, (size_t)done);
            return done;
        }
        if (errno == EINTR)
            continue;
        if (errno == ENOBUFS && lent) { /* no more memory may be pinned: this once with a copy */
            lent = false;
            continue;
        }
        if (errno != EAGAIN)
            return socket_failed(&sock->base, -errno, err);
        if (sock->zc)
            zero_copy_reap(sock->zc);
        ret = wait_fd(sock->fd, POLLOUT, -1, -1);
        if (ret < 0)
            return socket_failed(&sock->base, ret, err);
    }
}

ssize_t socket_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    return send_some(socket_of(chan), iov, count, false, err);
}

/* ---- by a pipe --------------------------------------------------------------------------------------------------- */

static void give_up_splicing(struct socket_channel *sock, int errnum)
{
    log_info(LOG_CHANNEL, "%s: pages cannot be spliced (errno %d): they are copied", sock->base.label, -errnum);
    splice_close(&sock->splice);
    atomic_store(&sock->splices, FERRY_ZERO_COPY_OFF);
}

/* Returns what the socket took; 0: it takes nothing in this way. */
static ssize_t send_spliced(struct socket_channel *sock, const struct iovec *iov, const bool *lent, int count,
                            struct ferry_error *err)
{
    struct splice *splice = &sock->splice;
    ssize_t filled = splice_fill(splice, iov, lent, count);
    int ret;

    if (filled <= 0) {
        give_up_splicing(sock, (int)filled);
        return 0;
    }
    while ((ret = splice_drain(splice, sock->fd, iov_bytes(iov, count) > (size_t)filled)) == -EAGAIN) {
        ret = wait_fd(sock->fd, POLLOUT, -1, -1);
        if (ret < 0)
            return socket_failed(&sock->base, ret, err);
    }
    if (ret == -EINVAL || ret == -EOPNOTSUPP) {
        size_t in_socket = splice->in_socket;

        give_up_splicing(sock, ret);
        return (ssize_t)in_socket;
    }
    if (ret < 0)
        return socket_failed(&sock->base, ret, err);
    atomic_fetch_add_explicit(&sock->spliced_bytes, (uint64_t)filled, memory_order_relaxed);
    atomic_fetch_add_explicit(&sock->splice_sends, 1, memory_order_relaxed);
    return filled;
}

/* ---- what is lent ------------------------------------------------------------------------------------------------ */

/* Elements that go the same way, and which. */
static int same_way(const bool *lent, int count, bool *way)
{
    int same = 1;

    *way = !lent || lent[0];
    while (lent && same < count && lent[same] == lent[0])
        same++;
    return lent ? same : count;
}

static size_t lent_bytes(const struct iovec *iov, const bool *lent, int count)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += !lent || lent[i] ? iov[i].iov_len : 0;
    return bytes;
}

ssize_t socket_writev_lent(struct ferry_channel *chan, const struct iovec *iov, const bool *lent, int count,
                           struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    struct zero_copy *zc = sock->zc;
    bool way;

    if (atomic_load(&sock->splices) == FERRY_ZERO_COPY_SPLICED && lent_bytes(iov, lent, count) >= SPLICE_WORTH_BYTES) {
        ssize_t done = send_spliced(sock, iov, lent, count, err);

        if (done != 0)
            return done;
    }
    if (!zc)
        return send_some(sock, iov, count, false, err);
    zero_copy_reap(zc);
    if (!zero_copy_wanted(zc, SIZE_MAX))
        return send_some(sock, iov, count, false, err);
    count = same_way(lent, count, &way);
    return send_some(sock, iov, count, way && zero_copy_wanted(zc, iov_bytes(iov, count)), err);
}

/* The other end must have acknowledged it all, so this takes as long as that does. */
int socket_sync(struct ferry_channel *chan, struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    uint64_t left, before = 0;
    int ret;

    while (sock->zc && (left = zero_copy_reap(sock->zc)) > 0) {
        if (channel_is_stopped(chan, FERRY_WRITE))
            return ferry_error_set(err, -ESHUTDOWN, "%s: was shut down", chan->label);
        if (left == before) /* woken by a hang-up, which stays */
            clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        before = left;
        ret = wait_fd(sock->fd, 0, -1, SYNC_LOOK_MS);
        if (ret < 0)
            return socket_failed(chan, ret, err);
    }
    return 0;
}

/* ---- switching --------------------------------------------------------------------------------------------------- */

static int begin_splicing(struct socket_channel *sock, struct ferry_error *err)
{
    int ret = sock->splice.in < 0 ? splice_open(&sock->splice) : 0;

    if (ret < 0)
        return channel_errno(sock->base.label, ret, err);
    atomic_store(&sock->splices, FERRY_ZERO_COPY_SPLICED);
    return 0;
}

static int begin_notices(struct socket_channel *sock, struct ferry_error *err)
{
    struct zero_copy *zc = sock->zc;
    int ret;

    if (zc) {
        zero_copy_switch(zc, true);
        return 0;
    }
    zc = malloc(sizeof(*zc));
    if (!zc)
        return channel_errno(sock->base.label, -ENOMEM, err);
    ret = zero_copy_init(zc, sock->fd);
    if (ret < 0) {
        free(zc);
        return ferry_error_set(err, -ENOTSUP, "%s: no zero copy on this kind of socket", sock->base.label);
    }
    sock->zc = zc;
    return 0;
}

int socket_set_zero_copy(struct ferry_channel *chan, enum ferry_zero_copy_way way, struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);

    if (way != FERRY_ZERO_COPY_SPLICE)
        atomic_store(&sock->splices, FERRY_ZERO_COPY_OFF);
    if (way != FERRY_ZERO_COPY_NOTICE && sock->zc)
        zero_copy_switch(sock->zc, false);
    if (way == FERRY_ZERO_COPY_NONE)
        return 0;
    return way == FERRY_ZERO_COPY_SPLICE ? begin_splicing(sock, err) : begin_notices(sock, err);
}

void socket_zero_copy(const struct ferry_channel *chan, struct ferry_zero_copy_figures *figures)
{
    const struct socket_channel *sock = (const struct socket_channel *)chan;
    struct zero_copy *zc = sock->zc;

    if (zc)
        zero_copy_figures(zc, figures);
    if (atomic_load(&sock->splices) == FERRY_ZERO_COPY_SPLICED) {
        figures->state = FERRY_ZERO_COPY_SPLICED;
        figures->lent_bytes = atomic_load(&sock->spliced_bytes);
        figures->avoided_sends = atomic_load(&sock->splice_sends);
    }
}

void socket_send_clear(struct socket_channel *sock)
{
    splice_close(&sock->splice);
    if (sock->zc)
        zero_copy_clear(sock->zc);
    free(sock->zc);
}
