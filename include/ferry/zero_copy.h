/* SPDX-License-Identifier: BSD-3-Clause */
/* zero_copy.h - memory that a channel sends as it lies, and when it is free again
 *
 *      writev_lent | writev_lent | ...  the pages go out, perhaps later      sync: nothing of them is needed any more
 *
 * Worth it for a network device that gathers from memory; on loopback the kernel copies all the same, which is found
 * out and given up.  Every kind of channel takes these calls: one that has no zero copy makes ordinary writes of them.
 */
#ifndef FERRY_ZERO_COPY_H
#define FERRY_ZERO_COPY_H

#include <ferry/api.h>
#include <ferry/channel.h>
#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

enum ferry_zero_copy_state {
    FERRY_ZERO_COPY_OFF,    /* not asked for, or not to be had on this kind of channel */
    FERRY_ZERO_COPY_ON,     /* lent memory goes out as it lies */
    FERRY_ZERO_COPY_COPIES, /* given up: the kernel copied all the same, as it does on loopback */
};

struct ferry_zero_copy_figures {
    enum ferry_zero_copy_state state;
    uint64_t lent_bytes;    /* sent without a copy of ours, whatever the kernel made of it */
    uint64_t avoided_sends; /* of these sends: the kernel really made no copy */
    uint64_t copied_sends;  /* ... it made one */
};

/**
 * ferry_channel_set_zero_copy() - may what is lent go to the network as it lies in memory?
 *
 * TCP sockets only, by MSG_ZEROCOPY; -ENOTSUP elsewhere, with a sentence, and everything works as before.  Where the
 * kernel turns out to copy all the same, the channel stops asking for it by itself: see ferry_channel_zero_copy().
 */
FERRY_API int ferry_channel_set_zero_copy(struct ferry_channel *chan, bool on, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_channel_set_zero_copy_ring() - likewise, by io_uring (SEND_ZC)
 * @memory: registered with the kernel for as long as the channel lives, so that sends of it need not pin it; it must
 *          stay mapped.  NULL: none
 *
 * Registering touches and pins every page: what was never touched is allocated, and what watches for writes sees one.
 * -ENOTSUP where there is no such socket, kernel (Linux 6.0) or build; -EBUSY after ferry_channel_set_zero_copy().
 * Before the first write.
 */
FERRY_API int ferry_channel_set_zero_copy_ring(struct ferry_channel *chan, const struct iovec *memory, unsigned count,
                                               struct ferry_error *err) FERRY_CHECK;

/* What became of it.  Thread: any. */
FERRY_API void ferry_channel_zero_copy(const struct ferry_channel *chan, struct ferry_zero_copy_figures *figures);

/* "off", "on", "the kernel copies" */
FERRY_API const char *ferry_zero_copy_name(enum ferry_zero_copy_state state);

/**
 * ferry_channel_writev_lent() - ferry_channel_writev() of memory that is lent until ferry_channel_sync() returns 0
 *
 * It must stay mapped until then.  What it holds may change: what arrives is what it held at some moment in between,
 * torn perhaps.  On a channel without zero copy the call is an ordinary write.
 */
FERRY_API ssize_t ferry_channel_writev_lent(struct ferry_channel *chan, const struct iovec *iov, int count,
                                            struct ferry_error *err) FERRY_CHECK;

/* Write all of @iov, whose elements may be changed by the call; their memory is lent. */
FERRY_API int ferry_channel_writev_all_lent(struct ferry_channel *chan, struct iovec *iov, int count,
                                            struct ferry_error *err) FERRY_CHECK;

/* Wait until nothing that was lent is needed any more.  The writer's thread. */
FERRY_API int ferry_channel_sync(struct ferry_channel *chan, struct ferry_error *err) FERRY_CHECK;

FERRY_END_DECLS

#endif
