/* SPDX-License-Identifier: BSD-3-Clause */
/* zerocopy.h - what a socket sends straight out of the sender's memory (MSG_ZEROCOPY), and when that is done
 *
 *      send 0  send 1  send 2          numbered by the kernel
 *      [======][======][======>        completions come back on the error queue, as ranges: "0 to 1"
 *      '- done -------'
 *
 * The kernel says of each whether it really avoided the copy.  Where it never does (loopback, a device that cannot
 * gather) this costs more than a plain send, so after a few such answers it is given up: see zero_copy_wanted().
 *
 * Thread: any; the lock is a leaf.
 */
#ifndef CHANNELS_ZEROCOPY_H
#define CHANNELS_ZEROCOPY_H

#include <ferry/zero_copy.h>
#include <pthread.h>
#include <stdbool.h>

struct zero_copy {
    int fd;       /* borrowed */
    bool by_ring; /* notices come there, not on the error queue */
    pthread_mutex_t lock;
    struct ferry_zero_copy_figures figures; /* state and counts */
    uint64_t sent, done; /* sends that were lent, and completed ones; one may be done before its sender has noted it */
};

/* Ask the socket for it; @by_ring: only whether it is of a kind that has it.  0 or a negative errno: not for this kind
 * of socket. */
int zero_copy_init(struct zero_copy *zc, int fd, bool by_ring);

/* Nothing is freed but the lock. */
void zero_copy_clear(struct zero_copy *zc);

/* Is a send of @bytes worth it, and does the kernel keep its side of it? */
bool zero_copy_wanted(struct zero_copy *zc, size_t bytes);

/* From here on, or no more.  What is under way stays so. */
void zero_copy_switch(struct zero_copy *zc, bool on);

/* One that was sent by a ring is done. */
void zero_copy_noted(struct zero_copy *zc, bool copied);

/* A send with MSG_ZEROCOPY, or by a ring, took @bytes. */
void zero_copy_sent(struct zero_copy *zc, size_t bytes);

/* Take what completions have come; never waits.  Returns how many sends are still under way. */
uint64_t zero_copy_reap(struct zero_copy *zc);

void zero_copy_figures(struct zero_copy *zc, struct ferry_zero_copy_figures *figures);

#endif
