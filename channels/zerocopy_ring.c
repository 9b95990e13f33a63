/* SPDX-License-Identifier: BSD-3-Clause */
/* zerocopy_ring.c - what a socket sends straight out of the sender's memory by io_uring (SEND_ZC) */
#include "zerocopy_ring.h"

#include "clock.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifdef HAVE_LIBURING
#include <liburing.h>

#define DEPTH         64          /* notices that may wait here; the kernel keeps more */
#define SEND_BYTES    (1u << 20)  /* of one send: more in one brings nothing */
#define REGISTER_MOST (1ul << 30) /* of one registered piece: the kernel's limit */

/* Linux 6.2. */
#define REPORT_USAGE (1u << 3)
#define USAGE_COPIED (1u << 31)

struct zero_copy_ring {
    struct io_uring ring;
    int fd;
    struct zero_copy *zc;
    unsigned report;          /* REPORT_USAGE, or 0 where it is not known */
    unsigned notices_to_come; /* of sends that were taken */
    struct iovec *memory;     /* registered, in pieces; owned */
    unsigned pieces;
};

static bool has_send_zc(void)
{
    struct io_uring_probe *probe = io_uring_get_probe();
    bool has = probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);

    io_uring_free_probe(probe);
    return has;
}

static int register_memory(struct zero_copy_ring *ring, const struct iovec *memory, unsigned count)
{
    size_t pieces = 0;

    for (unsigned i = 0; i < count; i++)
        pieces += (memory[i].iov_len + REGISTER_MOST - 1) / REGISTER_MOST;
    if (pieces == 0)
        return 0;
    ring->memory = calloc(pieces, sizeof(ring->memory[0]));
    if (!ring->memory)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        for (size_t at = 0; at < memory[i].iov_len; at += REGISTER_MOST) {
            size_t left = memory[i].iov_len - at;

            ring->memory[ring->pieces++] =
                (struct iovec){ (uint8_t *)memory[i].iov_base + at, left < REGISTER_MOST ? left : REGISTER_MOST };
        }
    }
    return io_uring_register_buffers(&ring->ring, ring->memory, ring->pieces);
}

struct zero_copy_ring *zero_copy_ring_new(int fd, struct zero_copy *zc, const struct iovec *memory, unsigned count,
                                          int *why)
{
    struct zero_copy_ring *ring = calloc(1, sizeof(*ring));

    *why = ring ? has_send_zc() ? io_uring_queue_init(DEPTH, &ring->ring, 0) : -EOPNOTSUPP : -ENOMEM;
    if (*why < 0) {
        free(ring);
        return NULL;
    }
    ring->fd = fd;
    ring->zc = zc;
    ring->report = REPORT_USAGE;
    *why = register_memory(ring, memory, count);
    if (*why == 0)
        return ring;
    zero_copy_ring_free(ring);
    return NULL;
}

void zero_copy_ring_free(struct zero_copy_ring *ring)
{
    if (!ring)
        return;
    io_uring_queue_exit(&ring->ring);
    free(ring->memory);
    free(ring);
}

/* Which registered piece it lies in wholly; -1: none. */
static int piece_of(const struct zero_copy_ring *ring, const uint8_t *data, size_t bytes)
{
    for (unsigned i = 0; i < ring->pieces; i++) {
        const uint8_t *from = ring->memory[i].iov_base;

        if (data >= from && data < from + ring->memory[i].iov_len)
            return bytes <= (size_t)(from + ring->memory[i].iov_len - data) ? (int)i : -1;
    }
    return -1;
}

/* True: it is what a send came to, *result; else a notice. */
static bool take(struct zero_copy_ring *ring, const struct io_uring_cqe *cqe, int *result)
{
    if (cqe->flags & IORING_CQE_F_NOTIF) {
        ring->notices_to_come--;
        zero_copy_noted(ring->zc, !ring->report || ((uint32_t)cqe->res & USAGE_COPIED));
        return false;
    }
    ring->notices_to_come += !!(cqe->flags & IORING_CQE_F_MORE);
    *result = cqe->res;
    return true;
}

static int send_once(struct zero_copy_ring *ring, const void *data, size_t bytes)
{
    int piece = piece_of(ring, data, bytes), result = 0, ret;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    struct io_uring_cqe *cqe;
    bool done = false;

    if (piece >= 0)
        io_uring_prep_send_zc_fixed(sqe, ring->fd, data, bytes, MSG_NOSIGNAL, ring->report, (unsigned)piece);
    else
        io_uring_prep_send_zc(sqe, ring->fd, data, bytes, MSG_NOSIGNAL, ring->report);
    ret = io_uring_submit(&ring->ring);
    while (ret >= 0 && !done) {
        ret = io_uring_wait_cqe(&ring->ring, &cqe);
        if (ret == -EINTR)
            ret = 0;
        else if (ret == 0) {
            done = take(ring, cqe, &result);
            io_uring_cqe_seen(&ring->ring, cqe);
        }
    }
    return ret < 0 ? ret : result;
}

ssize_t zero_copy_ring_send(struct zero_copy_ring *ring, const void *data, size_t bytes)
{
    int done;

    do {
        done = send_once(ring, data, bytes < SEND_BYTES ? bytes : SEND_BYTES);
        if (done == -EINVAL && ring->report) {
            ring->report = 0; /* a kernel that cannot say is taken for one that copies */
            done = -EINTR;
        }
        if (done == -EAGAIN) /* a socket that came as one that does not wait */
            done = wait_fd(ring->fd, POLLOUT, -1, -1) < 0 ? -EIO : -EINTR;
    } while (done == -EINTR);
    if (done > 0)
        zero_copy_sent(ring->zc, (size_t)done);
    return done;
}

void zero_copy_ring_reap(struct zero_copy_ring *ring, int ms)
{
    struct __kernel_timespec patience = { .tv_nsec = (int64_t)ms * NS_PER_MS };
    struct io_uring_cqe *cqe;
    int ignored;

    if (ms > 0 && ring->notices_to_come > 0 && io_uring_wait_cqe_timeout(&ring->ring, &cqe, &patience) < 0)
        return;
    while (io_uring_peek_cqe(&ring->ring, &cqe) == 0) {
        (void)take(ring, cqe, &ignored);
        io_uring_cqe_seen(&ring->ring, cqe);
    }
}

#else

struct zero_copy_ring *zero_copy_ring_new(int fd, struct zero_copy *zc, const struct iovec *memory, unsigned count,
                                          int *why)
{
    *why = -EOPNOTSUPP;
    return NULL;
}

void zero_copy_ring_free(struct zero_copy_ring *ring)
{
}

ssize_t zero_copy_ring_send(struct zero_copy_ring *ring, const void *data, size_t bytes)
{
    return -EOPNOTSUPP;
}

void zero_copy_ring_reap(struct zero_copy_ring *ring, int ms)
{
}
#endif
