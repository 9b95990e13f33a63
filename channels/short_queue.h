/* SPDX-License-Identifier: BSD-3-Clause */
/* short_queue.h - a socket whose bytes wait nowhere for long: others on the same wire are urgent
 *
 *      writev -->  [ piece | piece ]  -->  device's queue  -->  wire
 *                  ^ SO_SNDBUF: all that is not acknowledged
 *
 * TCP keeps about a millisecond of a wire's time in the device's queue, in segments of up to 64 KiB, whatever it has
 * not sent yet; a page of another connection waits behind that.  So on a slow wire the socket may hold a fraction of
 * that millisecond, in pieces that the kernel does not join.
 *
 * On a fast wire, or between processes of one host, nobody else waits; but a page that was sent and is touched before
 * it arrives cannot be sent again ahead of the megabytes that TCP's own buffer holds by then.  There the socket holds
 * what is acknowledged within a fraction of a millisecond, in writes of any length.  On a long one nothing is changed.
 *
 * One thread at a time: the writer's.
 */
#ifndef CHANNELS_SHORT_QUEUE_H
#define CHANNELS_SHORT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct short_queue {
    int fd; /* borrowed */
    bool on;
    bool one_host;  /* whatever is slow there is a processor */
    size_t piece;   /* 0: no bound */
    size_t room;    /* likewise, of the buffer of a fast one */
    size_t most;    /* that a buffer may have on this host: net.core.wmem_max */
    uint64_t rate;  /* in bytes a second, of the wire as far as it has shown */
    uint64_t acked; /* at the last look */
    unsigned looks, slow_looks;
    unsigned queue_us; /* more while the wire is not kept busy */
    int64_t looked_ns; /* CLOCK_MONOTONIC */
};

/* From now on, or no more; all zero is off. */
void short_queue_switch(struct short_queue *queue, int fd, bool on);

/* The most that one write may have; 0: anything.  Looks at the connection now and then. */
size_t short_queue_piece(struct short_queue *queue);

/* What a piece should have where TCP delivers @rate bytes a second, nothing is faster than @min_rtt_us, and it may
 * wait for @queue_us. */
size_t short_queue_for(uint64_t rate, uint64_t min_rtt_us, unsigned queue_us);

/* What SO_SNDBUF should be set to on a fast wire, in bytes, at most @most; 0: as it is. */
size_t short_queue_room(uint64_t rate, uint64_t min_rtt_us, size_t most);

#endif
