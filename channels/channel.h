/* SPDX-License-Identifier: BSD-3-Clause */
/* channel.h - what every kind of channel is made of
 *
 * A kind puts `struct ferry_channel` first in a struct of its own and fills a table of operations.  Layers are the
 * same type: one that wraps another keeps it as `inner`.
 *
 *     ferry_channel_writev(tls) -> tls.writev -> ferry_channel_writev(inner) -> socket.writev -> sendmsg
 *     ferry_channel_shutdown(tls) -> (NULL)   -> ferry_channel_shutdown(inner) -> socket.shutdown
 *
 * A NULL data operation is -ENOTSUP and never passes to `inner`, or bytes would slip underneath a layer.  A NULL
 * control operation passes to `inner` when there is one and is otherwise nothing.
 *
 * channel.c alone knows about `stopped` and `finished`: a kind need only wake up when its shutdown is called; whatever
 * it then returns, the caller is told -ESHUTDOWN.
 */
#ifndef CHANNELS_CHANNEL_H
#define CHANNELS_CHANNEL_H

#include <ferry/channel.h>
#include <ferry/zero_copy.h>
#include <stdatomic.h>

/* How much of what is written may wait in this host before it goes. */
enum channel_queue {
    CHANNEL_QUEUE_FULL,       /* as much as the kernel likes: the most per second */
    CHANNEL_QUEUE_URGENT,     /* hardly anything: what is written next must not wait behind what was written before */
    CHANNEL_QUEUE_BACKGROUND, /* enough to keep the wire busy, and no more: others on the same wire are urgent */
};

struct channel_ops {
    /* Data.  The first element is never empty, the count never 0 nor above IOV_MAX. */
    ssize_t (*readv)(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);
    ssize_t (*writev)(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);
    ssize_t (*preadv)(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                      struct ferry_error *err);
    ssize_t (*pwritev)(struct ferry_channel *chan, const struct iovec *iov, int count, uint64_t position,
                       struct ferry_error *err);
    /* Memory that stays until sync().  NULL: an ordinary write, of which nothing is left to wait for. */
    ssize_t (*writev_lent)(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);
    int (*sync)(struct ferry_channel *chan, struct ferry_error *err);
    int (*set_zero_copy)(struct ferry_channel *chan, bool on, struct ferry_error *err); /* never that of `inner` */
    int (*set_zero_copy_ring)(struct ferry_channel *chan, const struct iovec *memory, unsigned count,
                              struct ferry_error *err); /* likewise */
    void (*zero_copy)(const struct ferry_channel *chan, struct ferry_zero_copy_figures *figures);
    int (*send_fd)(struct ferry_channel *chan, int fd, struct ferry_error *err);
    int (*receive_fd)(struct ferry_channel *chan, struct ferry_error *err);

    /* Positions of the stream, for kinds that have them; NULL otherwise, and never those of `inner`. */
    uint64_t (*tell)(struct ferry_channel *chan, enum ferry_direction way);
    void (*seek)(struct ferry_channel *chan, enum ferry_direction way, uint64_t position);
    int (*size)(struct ferry_channel *chan, uint64_t *bytes, struct ferry_error *err);

    bool answers; /* see ferry_channel_answers(); a layer says what its inner channel says */

    /* Control. */
    int (*finish)(struct ferry_channel *chan, struct ferry_error *err);     /* writer's thread; may come twice */
    int (*settle)(struct ferry_channel *chan, struct ferry_error *err);     /* reader's thread */
    void (*shutdown)(struct ferry_channel *chan, enum ferry_direction how); /* any thread, `stopped` is set already */
    void (*expect)(struct ferry_channel *chan, size_t bytes);               /* reader's thread */
    void (*set_patience)(struct ferry_channel *chan, unsigned ms);
    void (*set_queue)(struct ferry_channel *chan, enum channel_queue queue);
    void (*close)(struct ferry_channel *chan); /* what the kind holds, perhaps half built; not chan itself */
};

struct ferry_channel {
    const struct channel_ops *ops;   /* immutable, one per kind of channel */
    struct ferry_channel *inner;     /* next layer down, owned; NULL at the bottom */
    char *label;                     /* "tls(tcp:192.0.2.7:4444)", used in every message */
    enum ferry_direction directions; /* fixed once built */
    atomic_uint refs;
    atomic_uint stopped;  /* directions that were shut down; any thread */
    atomic_bool finished; /* nothing more may be written */
};

/**
 * channel_new() - memory for a channel, zeroed but for the head
 * @bytes: size of the kind's struct, whose first member is the struct ferry_channel
 * @label: copied
 *
 * Returns a channel with one reference and no inner, or NULL with @err set.  From then on ferry_channel_unref() undoes
 * whatever has been built.
 */
void *channel_new(size_t bytes, const struct channel_ops *ops, enum ferry_direction directions, const char *label,
                  struct ferry_error *err);

/**
 * channel_set_queue() - how much may wait in the kernel
 *
 * A wish: kinds that cannot do it stay as they are.  Writing then blocks sooner, nothing else changes.  The writer's
 * thread, or before there is one; it may be said again.
 */
void channel_set_queue(struct ferry_channel *chan, enum channel_queue queue);

/* Was @way shut down?  For those who transfer by other means than the channel's calls.  Thread: any. */
bool channel_is_stopped(struct ferry_channel *chan, enum ferry_direction way);

/**
 * channel_tell() - where in the file the stream of one direction stands
 *
 * -ENOTSUP, naming the channel, for what has no positions.  The reader's or the writer's thread.
 */
int channel_tell(struct ferry_channel *chan, enum ferry_direction way, uint64_t *position, struct ferry_error *err);

/* Go on from there: what a reader has buffered, or a writer not flushed, is its own affair. */
int channel_seek(struct ferry_channel *chan, enum ferry_direction way, uint64_t position, struct ferry_error *err);

/* How large the file is now.  Thread: any. */
int channel_size(struct ferry_channel *chan, uint64_t *bytes, struct ferry_error *err);

/* "LABEL: connection refused".  @errnum is negative and returned. */
int channel_errno(const char *label, int errnum, struct ferry_error *err);

#endif
