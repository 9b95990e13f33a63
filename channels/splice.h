/* SPDX-License-Identifier: BSD-3-Clause */
/* splice.h - what a socket sends straight out of the sender's memory by way of a pipe (vmsplice, splice)
 *
 *      small pieces --- write -----.
 *      lent pages   --- vmsplice ---+--> pipe: references to pages --- splice --> socket: the same references
 *
 * Nothing is copied on this side, on loopback and between namespaces neither, and no right to lock memory is needed.
 * Nor is there word of when the pages are done with: the kernel holds on to them by itself until the other end has read
 * them, so they may be unmapped at any time, but what is written to them until then may arrive.
 *
 * Thread: the writer's.
 */
#ifndef CHANNELS_SPLICE_H
#define CHANNELS_SPLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct splice {
    int in, out;      /* of the pipe: where it is filled, and where it is emptied; -1: none */
    size_t filled;    /* bytes in it */
    size_t in_socket; /* of what it was filled with last */
};

/* 0 or a negative errno. */
int splice_open(struct splice *by);

void splice_close(struct splice *by);

/**
 * splice_fill() - as much as fits into an empty pipe
 * @lent: of each element: a reference goes in, not a copy; NULL: of all
 *
 * Bytes taken, or a negative errno when none were: -EFAULT for memory that cannot be referred to.
 */
ssize_t splice_fill(struct splice *by, const struct iovec *iov, const bool *lent, int count);

/**
 * splice_drain() - from the pipe to the socket
 * @more: more is to come at once
 *
 * 0: the pipe is empty.  -EAGAIN: the socket takes no more now.  Another negative errno: it takes nothing in this way;
 * by->in_socket says how much it has.
 */
int splice_drain(struct splice *by, int fd, bool more);

#endif
