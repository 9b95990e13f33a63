/* SPDX-License-Identifier: BSD-3-Clause */
/* socket.c - the channel over a connected stream socket, of whatever family
 *
 * Every transfer is tried at once and waits only when the kernel says EAGAIN.  What costs on the way in is waking up:
 * a reader that sleeps is woken for every segment, each time for a few KiB.  So a reader that knows how much must
 * still come (ferry_channel_expect) tells the kernel with SO_RCVLOWAT, just before it sleeps:
 *
 *     hint 1 MiB   recvmsg 300K  recvmsg EAGAIN  RCVLOWAT=256K  poll ........ recvmsg 256K   (hint 468K left)
 *
 * A hint that was wrong costs LOWAT_PATIENCE_NS and nothing else: the reader then looks whether anything is there, and
 * falls back to being woken by the first byte.
 *
 * Shutting the socket down wakes whoever polls it; channel.c then says why.
 */
#include "socket.h"

#include "clock.h"
#include "iov.h"
#include "log.h"
#include "rights.h"
#include "short_queue.h"
#include "wait.h"
#include "zerocopy.h"
#include "zerocopy_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOWAT_MAX_BYTES         (256 * 1024)
#define LOWAT_PATIENCE_NS       (200 * 1000) /* a hint that was wrong must not be felt in a pause of a few milliseconds */
#define UNIX_BUFFER_BYTES       (1024 * 1024)
#define URGENT_UNSENT_BYTES     (16 * 1024)
#define BACKGROUND_UNSENT_BYTES (128 * 1024)
#define URGENT_PRIORITY         6 /* TC_PRIO_INTERACTIVE: in front of others where the device's queue has bands */
#define LISTEN_BACKLOG          256
#define PIECE_PARTS             64
#define SYNC_LOOK_MS            50 /* a notice wakes at once; this is for a shutdown that comes in between */

struct socket_channel {
    struct ferry_channel base;
    int fd;
    _Atomic(struct zero_copy *) zc; /* owned; NULL: never asked for; stays once it is there */
    struct short_queue brief;       /* the writer's own */
    struct zero_copy_ring *ring;    /* owned; the writer's own; NULL: lent memory goes by sendmsg */
    /* The reader's own. */
    size_t expected;  /* of the hint, not read yet */
    size_t lowat;     /* what SO_RCVLOWAT was set to */
    size_t lowat_max; /* 1: not worth it, or the family has no such thing */
};

static struct socket_channel *socket_of(struct ferry_channel *chan)
{
    return (struct socket_channel *)chan;
}

static void set_lowat(struct socket_channel *sock, size_t bytes)
{
    int value = (int)bytes;

    if (bytes != sock->lowat && setsockopt(sock->fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)) == 0)
        sock->lowat = bytes;
}

static int wait_readable(struct socket_channel *sock)
{
    size_t want = sock->expected < sock->lowat_max ? sock->expected : sock->lowat_max;
    struct timespec patience = { 0, LOWAT_PATIENCE_NS };
    struct pollfd polled = { .fd = sock->fd, .events = POLLIN };
    int ret;

    if (sock->zc)
        zero_copy_reap(sock->zc); /* or poll reports it as an error, again and again */
    set_lowat(sock, want ? want : 1);
    if (sock->lowat > 1) {
        ret = ppoll(&polled, 1, &patience, NULL);
        if (ret > 0)
            return 1;
        /* Setting it wakes nobody, but poll looks again. */
        set_lowat(sock, 1);
    }
    return wait_fd(sock->fd, POLLIN, -1, -1);
}

/* Of an established connection: that it has timed out means that the peer's host no longer answers. */
static int transfer_failed(struct ferry_channel *chan, int errnum, struct ferry_error *err)
{
    channel_errno(chan->label, errnum, err);
    if (errnum == -ETIMEDOUT)
        ferry_error_code(err, FERRY_E_PEER_SILENT);
    return errnum;
}

static ssize_t socket_readv(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    int ret;

    for (;;) {
        ssize_t done = recvmsg(sock->fd, &msg, MSG_DONTWAIT);

        if (done >= 0) {
            sock->expected -= (size_t)done < sock->expected ? (size_t)done : sock->expected;
            return done;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return transfer_failed(chan, -errno, err);
        ret = wait_readable(sock);
        if (ret < 0)
            return transfer_failed(chan, ret, err);
    }
}

/* The first @limit bytes, in at most PIECE_PARTS parts. */
static size_t cut(struct iovec few[PIECE_PARTS], const struct iovec *iov, int count, size_t limit)
{
    size_t parts = 0;

    while (parts < PIECE_PARTS && parts < (size_t)count && limit > 0) {
        few[parts] = iov[parts];
        if (few[parts].iov_len > limit)
            few[parts].iov_len = limit;
        limit -= few[parts++].iov_len;
    }
    return parts;
}

static ssize_t send_some(struct socket_channel *sock, const struct iovec *iov, int count, bool lent,
                         struct ferry_error *err)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT, ret;
    struct iovec few[PIECE_PARTS];
    size_t piece = short_queue_piece(&sock->brief);

    if (piece > 0) {
        msg.msg_iovlen = cut(few, iov, count, piece);
        msg.msg_iov = few;
        flags |= MSG_EOR; /* it is not joined with the next */
    }
    for (;;) {
        ssize_t done = sendmsg(sock->fd, &msg, flags | (lent ? MSG_ZEROCOPY : 0));

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
            return transfer_failed(&sock->base, -errno, err);
        if (sock->zc)
            zero_copy_reap(sock->zc);
        ret = wait_fd(sock->fd, POLLOUT, -1, -1);
        if (ret < 0)
            return transfer_failed(&sock->base, ret, err);
    }
}

static ssize_t socket_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err)
{
    return send_some(socket_of(chan), iov, count, false, err);
}

/* A ring takes a piece at a time.  Small ones go with those beside them, and are copied. */
static ssize_t send_by_ring(struct socket_channel *sock, const struct iovec *iov, int count, struct ferry_error *err)
{
    int small = 0;
    ssize_t done;

    while (small < count && !zero_copy_wanted(sock->zc, iov[small].iov_len))
        small++;
    if (small > 0)
        return send_some(sock, iov, small, false, err);
    zero_copy_ring_reap(sock->ring, 0);
    done = zero_copy_ring_send(sock->ring, iov[0].iov_base, iov[0].iov_len);
    if (done == -ENOMEM || done == -ENOBUFS) /* no more memory may be pinned: this once with a copy */
        return send_some(sock, iov, 1, false, err);
    return done < 0 ? transfer_failed(&sock->base, (int)done, err) : done;
}

static ssize_t socket_writev_lent(struct ferry_channel *chan, const struct iovec *iov, int count,
                                  struct ferry_error *err)
{
    struct zero_copy *zc = socket_of(chan)->zc;
    bool lent;

    if (zc)
        zero_copy_reap(zc);
    lent = zc && zero_copy_wanted(zc, iov_bytes(iov, count));
    if (lent && socket_of(chan)->ring)
        return send_by_ring(socket_of(chan), iov, count, err);
    return send_some(socket_of(chan), iov, count, lent, err);
}

/* The other end must have acknowledged it all, so this takes as long as that does. */
static int socket_sync(struct ferry_channel *chan, struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    uint64_t left, before = 0;
    int ret;

    while (sock->zc && (left = zero_copy_reap(sock->zc)) > 0) {
        if (channel_is_stopped(chan, FERRY_WRITE))
            return ferry_error_set(err, -ESHUTDOWN, "%s: was shut down", chan->label);
        if (left == before && !sock->ring) /* woken by a hang-up, which stays */
            clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        before = left;
        if (sock->ring)
            zero_copy_ring_reap(sock->ring, SYNC_LOOK_MS);
        ret = sock->ring ? 0 : wait_fd(sock->fd, 0, -1, SYNC_LOOK_MS);
        if (ret < 0)
            return transfer_failed(chan, ret, err);
    }
    return 0;
}

static int socket_set_zero_copy(struct ferry_channel *chan, bool on, struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    struct zero_copy *zc;
    int ret;

    if (sock->zc || !on) {
        if (sock->zc)
            zero_copy_switch(sock->zc, on);
        return 0;
    }
    zc = malloc(sizeof(*zc));
    if (!zc)
        return channel_errno(chan->label, -ENOMEM, err);
    ret = zero_copy_init(zc, sock->fd, false);
    if (ret < 0) {
        free(zc);
        return ferry_error_set(err, -ENOTSUP, "%s: no zero copy on this kind of socket", chan->label);
    }
    sock->zc = zc;
    return 0;
}

static int socket_set_zero_copy_ring(struct ferry_channel *chan, const struct iovec *memory, unsigned count,
                                     struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    struct zero_copy *zc;
    int ret;

    if (sock->zc)
        return ferry_error_set(err, -EBUSY, "%s: has zero copy already", chan->label);
    zc = malloc(sizeof(*zc));
    if (!zc)
        return channel_errno(chan->label, -ENOMEM, err);
    ret = zero_copy_init(zc, sock->fd, true);
    if (ret < 0) {
        free(zc);
        return ferry_error_set(err, -ENOTSUP, "%s: no zero copy on this kind of socket", chan->label);
    }
    sock->ring = zero_copy_ring_new(sock->fd, zc, memory, count, &ret);
    if (!sock->ring) {
        zero_copy_clear(zc);
        free(zc);
        return ferry_error_set(err, -ENOTSUP, "%s: no zero copy by io_uring here: %s", chan->label, strerror(-ret));
    }
    sock->zc = zc;
    return 0;
}

static void socket_zero_copy(const struct ferry_channel *chan, struct ferry_zero_copy_figures *figures)
{
    struct zero_copy *zc = ((const struct socket_channel *)chan)->zc;

    if (zc)
        zero_copy_figures(zc, figures);
}

static int socket_send_fd(struct ferry_channel *chan, int fd, struct ferry_error *err)
{
    int ret;

    while ((ret = rights_send(socket_of(chan)->fd, fd)) == -EAGAIN || ret == -EINTR)
        if (wait_fd(socket_of(chan)->fd, POLLOUT, -1, -1) < 0)
            break;
    return ret < 0 ? channel_errno(chan->label, ret, err) : 0;
}

static int socket_receive_fd(struct ferry_channel *chan, struct ferry_error *err)
{
    struct socket_channel *sock = socket_of(chan);
    int ret;

    sock->expected = 0;
    while ((ret = rights_receive(sock->fd)) == -EAGAIN || ret == -EINTR)
        if (wait_readable(sock) < 0)
            break;
    if (ret == -ENODATA)
        return ferry_error_set_code(err, FERRY_E_STREAM_ENDED, -EPIPE, "%s: the stream ended before a descriptor came",
                                    chan->label);
    if (ret == -EPROTO)
        return ferry_error_set(err, ret, "%s: exactly one descriptor was to come with the next byte", chan->label);
    return ret < 0 ? channel_errno(chan->label, ret, err) : ret;
}

static int socket_finish(struct ferry_channel *chan, struct ferry_error *err)
{
    if (shutdown(socket_of(chan)->fd, SHUT_WR) < 0)
        return channel_errno(chan->label, errno == ENOTCONN ? -ECONNRESET : -errno, err);
    return 0;
}

static void socket_shutdown(struct ferry_channel *chan, enum ferry_direction how)
{
    shutdown(socket_of(chan)->fd, how == FERRY_READ_WRITE ? SHUT_RDWR : how == FERRY_READ ? SHUT_RD : SHUT_WR);
}

static void socket_expect(struct ferry_channel *chan, size_t bytes)
{
    socket_of(chan)->expected = bytes;
}

static void socket_set_patience(struct ferry_channel *chan, unsigned ms)
{
    (void)!setsockopt(socket_of(chan)->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static void set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
        log_debug(LOG_CHANNEL, "socket option %d/%d = %d: errno %d", level, name, value, errno);
}

/* What TCP has not sent yet is what waits in front of the next write, so that is what is bounded; how much is on its
 * way is for congestion control to say. */
static void socket_set_queue(struct ferry_channel *chan, enum channel_queue queue)
{
    static const int unsent[] = {
        [CHANNEL_QUEUE_FULL] = 0, /* as the system has it */
        [CHANNEL_QUEUE_URGENT] = URGENT_UNSENT_BYTES,
        [CHANNEL_QUEUE_BACKGROUND] = BACKGROUND_UNSENT_BYTES,
    };
    int fd = socket_of(chan)->fd;

    set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent[queue]);
    short_queue_switch(&socket_of(chan)->brief, fd, queue == CHANNEL_QUEUE_BACKGROUND);
    set_option(fd, SOL_SOCKET, SO_PRIORITY, queue == CHANNEL_QUEUE_URGENT ? URGENT_PRIORITY : 0);
}

static void socket_close(struct ferry_channel *chan)
{
    zero_copy_ring_free(socket_of(chan)->ring);
    if (socket_of(chan)->fd >= 0)
        close(socket_of(chan)->fd);
    if (socket_of(chan)->zc)
        zero_copy_clear(socket_of(chan)->zc);
    free(socket_of(chan)->zc);
}

static const struct channel_ops socket_ops = {
    .readv = socket_readv,
    .writev = socket_writev,
    .writev_lent = socket_writev_lent,
    .sync = socket_sync,
    .set_zero_copy = socket_set_zero_copy,
    .set_zero_copy_ring = socket_set_zero_copy_ring,
    .zero_copy = socket_zero_copy,
    .answers = true,
    .finish = socket_finish,
    .shutdown = socket_shutdown,
    .expect = socket_expect,
    .set_patience = socket_set_patience,
    .set_queue = socket_set_queue,
    .close = socket_close,
};

static const struct channel_ops socket_unix_ops = {
    .readv = socket_readv,
    .writev = socket_writev,
    .answers = true,
    .send_fd = socket_send_fd,
    .receive_fd = socket_receive_fd,
    .finish = socket_finish,
    .shutdown = socket_shutdown,
    .expect = socket_expect,
    .close = socket_close,
};

/* Options are wishes: a socket without them works, slower.
 *
 * TCP keeps the buffers that the kernel tunes: measured on loopback with writes of 1 MiB, no fixed size from 1 to 4 MiB
 * took less processor time, and fixing one switches the tuning off.  SO_RCVLOWAT by itself makes the kernel grow the
 * receive buffer to fit.  A unix socket is never tuned: with its default the two sides changed turns 18,000 times for
 * 3 GiB, with 1 MiB 2,800 times; 4 MiB took more processor time again, being more than the caches hold.
 */
static void tune(int fd, int family)
{
    if (family == AF_INET || family == AF_INET6) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    } else if (family == AF_UNIX) {
        int bytes = UNIX_BUFFER_BYTES;

        /* The plain option stops at net.core.wmem_max, which is the default size on most hosts. */
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
            set_option(fd, SOL_SOCKET, SO_SNDBUF, bytes);
    }
}

/* How much a reader may wait for.  TCP never lets the mark exceed what its window can take; vsock has no such care, and
 * poll on a unix socket ignores the mark. */
static size_t lowat_limit(int fd, int family)
{
    int room = 0;
    socklen_t bytes = sizeof(room);

    if (family == AF_INET || family == AF_INET6)
        return LOWAT_MAX_BYTES;
    if (family != AF_VSOCK || getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &bytes) < 0 || room < 4)
        return 1;
    return room / 4 < LOWAT_MAX_BYTES ? (size_t)room / 4 : LOWAT_MAX_BYTES;
}

struct ferry_channel *socket_channel(int fd, const char *label, struct ferry_error *err)
{
    int family = AF_UNSPEC;
    socklen_t bytes = sizeof(family);
    char text[ADDRESS_BYTES];
    struct socket_channel *sock;
    struct address peer;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes) < 0) {
        channel_errno(label ? label : "socket", -errno, err);
        return NULL;
    }
    /* A peer that is gone already is found out by the first transfer, not by whoever accepts. */
    if (!label)
        label = address_of_peer(fd, &peer) < 0 ? "tcp:?" : address_format(&peer, text, sizeof(text));
    sock = channel_new(sizeof(*sock), family == AF_UNIX ? &socket_unix_ops : &socket_ops, FERRY_READ_WRITE, label, err);
    if (!sock)
        return NULL;
    sock->fd = fd;
    sock->lowat = 1;
    sock->lowat_max = lowat_limit(fd, family);
    tune(fd, family);
    return &sock->base;
}

/* connect() goes on in the background; SO_ERROR says how it ended. */
static int connect_wait(int fd, int64_t deadline_ns)
{
    int ret = wait_fd(fd, POLLOUT, -1, clock_left_ms(deadline_ns));
    int result = 0;
    socklen_t bytes = sizeof(result);

    if (ret <= 0)
        return ret < 0 ? ret : -ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &bytes) < 0 ? -errno : -result;
}

/* A port of this host that nobody listens on may be picked as the caller's own: TCP then connects it with itself. */
static bool is_own_echo(int fd)
{
    struct address peer, self;

    return address_of_peer(fd, &peer) == 0 && address_of_self(fd, &self) == 0 && peer.bytes == self.bytes &&
           (peer.storage.ss_family == AF_INET || peer.storage.ss_family == AF_INET6) &&
           !memcmp(&peer.storage, &self.storage, peer.bytes);
}

int socket_connect(const struct address *address, int64_t deadline_ns)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int ret = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, &address->any, address->bytes) < 0)
        ret = errno == EINPROGRESS ? connect_wait(fd, deadline_ns) : -errno;
    if (ret == 0 && is_own_echo(fd))
        ret = -ECONNREFUSED;
    if (ret == 0)
        return fd;
    close(fd);
    return ret;
}

int socket_listen(const struct address *address, bool dual_stack)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int ret;

    if (fd < 0)
        return -errno;
    if (address->storage.ss_family == AF_INET || address->storage.ss_family == AF_INET6)
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->storage.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    /* Before bind: the name that appears in the file system gets this mode, so nobody else can connect. */
    if (address->storage.ss_family == AF_UNIX)
        (void)!fchmod(fd, 0600);
    if (bind(fd, &address->any, address->bytes) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    ret = -errno;
    close(fd);
    return ret;
}
