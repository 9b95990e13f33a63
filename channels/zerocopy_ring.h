/* SPDX-License-Identifier: BSD-3-Clause */
/* zerocopy_ring.h - what a socket sends straight out of the sender's memory by io_uring (SEND_ZC)
 *
 *      send --> ring --> [sent: so many bytes] ......... [notice: it is free; was it copied all the same?]
 *               '- awaited: a stream has an order -'     '- taken with the next sends, or by a sync
 *
 * Memory that was registered before is not pinned anew for each send.  The ring is its writer's alone; what became of
 * the sends is counted in a struct zero_copy, which says when to give up.
 */
#ifndef CHANNELS_ZEROCOPY_RING_H
#define CHANNELS_ZEROCOPY_RING_H

#include "zerocopy.h"

#include <sys/types.h>
#include <sys/uio.h>

struct zero_copy_ring;

/**
 * zero_copy_ring_new() - a ring for the socket @fd
 * @zc: where it counts; borrowed, as @fd
 * @memory: registered, as long as the ring lives; NULL: none.  All of it is touched and pinned.
 *
 * Returns NULL with *why set: -EOPNOTSUPP where this kernel or this build has none.
 */
struct zero_copy_ring *zero_copy_ring_new(int fd, struct zero_copy *zc, const struct iovec *memory, unsigned count,
                                          int *why);

/* NULL is legal. */
void zero_copy_ring_free(struct zero_copy_ring *ring);

/* Some of @bytes, at least one: waits until the socket takes them.  Returns how many, or a negative errno. */
ssize_t zero_copy_ring_send(struct zero_copy_ring *ring, const void *data, size_t bytes);

/* Take what notices have come; wait for one for at most @ms where some are still to come. */
void zero_copy_ring_reap(struct zero_copy_ring *ring, int ms);

#endif
