/* SPDX-License-Identifier: BSD-3-Clause */
/* socket_parts.h - what the files of the socket channel share: socket.c, socket_send.c */
#ifndef CHANNELS_SOCKET_PARTS_H
#define CHANNELS_SOCKET_PARTS_H

#include "channel.h"
#include "splice.h"
#include "zerocopy.h"

struct socket_channel {
    struct ferry_channel base;
    int fd;
    _Atomic(struct zero_copy *) zc; /* owned; NULL: never asked for; stays once it is there */
    /* The writer's own. */
    struct splice splice;                          /* no pipe: never asked for */
    atomic_int splices;                            /* an enum ferry_zero_copy_state; any thread may ask */
    _Atomic(uint64_t) spliced_bytes, splice_sends; /* likewise */
    /* The reader's own. */
    size_t expected;  /* of the hint, not read yet */
    size_t lowat;     /* what SO_RCVLOWAT was set to */
    size_t lowat_max; /* 1: not worth it, or the family has no such thing */
};

static inline struct socket_channel *socket_of(struct ferry_channel *chan)
{
    return (struct socket_channel *)chan;
}

/* A transfer failed with @errnum, which is returned. */
int socket_failed(struct ferry_channel *chan, int errnum, struct ferry_error *err);

/* Operations of the channel: see channel.h. */
ssize_t socket_writev(struct ferry_channel *chan, const struct iovec *iov, int count, struct ferry_error *err);
ssize_t socket_writev_lent(struct ferry_channel *chan, const struct iovec *iov, const bool *lent, int count,
                           struct ferry_error *err);
int socket_sync(struct ferry_channel *chan, struct ferry_error *err);
int socket_set_zero_copy(struct ferry_channel *chan, enum ferry_zero_copy_way way, struct ferry_error *err);
void socket_zero_copy(const struct ferry_channel *chan, struct ferry_zero_copy_figures *figures);

/* What sending holds. */
void socket_send_clear(struct socket_channel *sock);

#endif
