/* SPDX-License-Identifier: BSD-3-Clause */
/* file_queue.c - many positional transfers of a file under way at once
 *
 * A device is busy only while it has the next request already; so with O_DIRECT the ring keeps some in flight:
 *
 *      slot 0  |== 1 MiB ==>            done, its slot takes the next
 *      slot 1     |== 1 MiB ==>
 *      slot 2        |== 1 MiB ==>      all slots taken: put waits for one
 *
 * Writes to the page cache are memory copies under the file's lock: a ring can only hand them to a kernel thread.
 * What a ring completes short, or refuses, is finished by an ordinary call, which knows what to say about it.
 */
#include "file_queue.h"

#include "file.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#define QUEUE_DEPTH 16
#define PIECE_BYTES (1u << 20) /* of one request: more in one brings nothing, and a ring wants several */

struct file_slot {
    uint8_t *memory; /* NULL: free */
    size_t bytes;
    uint64_t position;
};

struct file_queue {
    struct ferry_channel *chan;
    enum ferry_direction way;
    struct ferry_error error; /* the first; errnum 0: none */
    const char *manner;
#ifdef HAVE_LIBURING
    struct io_uring ring;
    bool has_ring;
    unsigned flying;
    struct file_slot slots[QUEUE_DEPTH];
#endif
};

/* All of it, by the calls of the channel. */
static int transfer(struct file_queue *queue, uint8_t *memory, size_t bytes, uint64_t position)
{
    while (bytes > 0) {
        struct iovec iov = { memory, bytes };
        ssize_t done = queue->way == FERRY_WRITE ? ferry_channel_pwritev(queue->chan, &iov, 1, position, &queue->error)
                                                 : ferry_channel_preadv(queue->chan, &iov, 1, position, &queue->error);

        if (done < 0)
            return (int)done;
        if (done == 0)
            return ferry_error_set_code(&queue->error, FERRY_E_STREAM_ENDED, -EPIPE,
                                        "%s: the file ends at byte %ju, %zu more bytes were expected",
                                        ferry_channel_label(queue->chan), (uintmax_t)position, bytes);
        memory += done;
        bytes -= (size_t)done;
        position += (uint64_t)done;
    }
    return 0;
}

#ifdef HAVE_LIBURING

static void ring_open(struct file_queue *queue)
{
    int ret = io_uring_queue_init(QUEUE_DEPTH, &queue->ring, 0);

    queue->has_ring = ret == 0;
    if (ret < 0)
        log_info(LOG_CHANNEL, "%s: no io_uring (errno %d), going on without", ferry_channel_label(queue->chan), -ret);
}

/* One completion; the kernel has one for everything that was submitted. */
static void ring_reap(struct file_queue *queue)
{
    struct io_uring_cqe *cqe;
    struct file_slot *slot;
    int ret, done;

    do
        ret = io_uring_wait_cqe(&queue->ring, &cqe);
    while (ret == -EINTR);
    slot = io_uring_cqe_get_data(cqe);
    done = cqe->res;
    io_uring_cqe_seen(&queue->ring, cqe);
    queue->flying--;
    if (done == -EINVAL || done == -EOPNOTSUPP)
        file_refuse_direct(queue->chan);
    if (done < 0)
        done = 0; /* the ordinary call will say why */
    if ((size_t)done < slot->bytes && !queue->error.errnum)
        transfer(queue, slot->memory + done, slot->bytes - (size_t)done, slot->position + (uint64_t)done);
    slot->memory = NULL;
}

static struct file_slot *ring_slot(struct file_queue *queue)
{
    for (unsigned i = 0; i < QUEUE_DEPTH; i++)
        if (!queue->slots[i].memory)
            return &queue->slots[i];
    return NULL;
}

/* False: not a transfer for the ring. */
static bool ring_put(struct file_queue *queue, uint8_t *memory, size_t bytes, uint64_t position)
{
    int fd = queue->has_ring ? file_direct_fd(queue->chan, memory, bytes, position) : -1;
    struct io_uring_sqe *sqe;
    struct file_slot *slot;
    int ret;

    if (fd < 0 || channel_is_stopped(queue->chan, queue->way))
        return false;
    if (queue->flying == QUEUE_DEPTH)
        ring_reap(queue);
    slot = ring_slot(queue);
    sqe = io_uring_get_sqe(&queue->ring);
    *slot = (struct file_slot){ memory, bytes, position };
    if (queue->way == FERRY_WRITE)
        io_uring_prep_write(sqe, fd, memory, (unsigned)bytes, position);
    else
        io_uring_prep_read(sqe, fd, memory, (unsigned)bytes, position);
    io_uring_sqe_set_data(sqe, slot);
    queue->manner = "O_DIRECT, io_uring";
    while ((ret = io_uring_submit(&queue->ring)) < 0) {
        if (ret == -EINTR)
            continue;
        if (queue->flying == 0) { /* the kernel takes none at all */
            channel_errno(ferry_channel_label(queue->chan), ret, &queue->error);
            slot->memory = NULL;
            return true;
        }
        ring_reap(queue);
    }
    queue->flying++;
    return true;
}

static void ring_drain(struct file_queue *queue)
{
    while (queue->flying > 0)
        ring_reap(queue);
}

static void ring_close(struct file_queue *queue)
{
    if (queue->has_ring)
        io_uring_queue_exit(&queue->ring);
}

#else

static void ring_open(struct file_queue *queue)
{
}

static bool ring_put(struct file_queue *queue, uint8_t *memory, size_t bytes, uint64_t position)
{
    return false;
}

static void ring_drain(struct file_queue *queue)
{
}

static void ring_close(struct file_queue *queue)
{
}

#endif

struct file_queue *file_queue_new(struct ferry_channel *chan, enum ferry_direction way, bool ring,
                                  struct ferry_error *err)
{
    struct file_queue *queue;

    if (!file_is(chan)) {
        ferry_error_set_code(err, FERRY_E_ONE_WAY_CHANNEL, -ENOTSUP, "%s: only a file has positions",
                             ferry_channel_label(chan));
        return NULL;
    }
    queue = calloc(1, sizeof(*queue));
    if (!queue) {
        channel_errno(ferry_channel_label(chan), -ENOMEM, err);
        return NULL;
    }
    queue->chan = ferry_channel_ref(chan);
    queue->way = way;
    queue->manner = "page cache";
    if (ring && file_direct_fd(chan, NULL, FILE_DIRECT_ALIGN, 0) >= 0)
        ring_open(queue);
    return queue;
}

int file_queue_put(struct file_queue *queue, void *memory, size_t bytes, uint64_t position, struct ferry_error *err)
{
    uint8_t *from = memory;

    while (bytes > 0 && !queue->error.errnum) {
        size_t piece = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;

        if (!ring_put(queue, from, piece, position)) {
            if (file_direct_fd(queue->chan, from, piece, position) >= 0)
                queue->manner = "O_DIRECT";
            transfer(queue, from, piece, position);
        }
        from += piece;
        bytes -= piece;
        position += piece;
    }
    if (queue->error.errnum && err)
        *err = queue->error;
    return queue->error.errnum;
}

int file_queue_drain(struct file_queue *queue, struct ferry_error *err)
{
    ring_drain(queue);
    if (queue->error.errnum && err)
        *err = queue->error;
    return queue->error.errnum;
}

const char *file_queue_manner(const struct file_queue *queue)
{
    return queue->manner;
}

void file_queue_free(struct file_queue *queue)
{
    if (!queue)
        return;
    ring_drain(queue);
    ring_close(queue);
    ferry_channel_unref(queue->chan);
    free(queue);
}
