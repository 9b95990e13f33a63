/* SPDX-License-Identifier: BSD-3-Clause */
/* iov.h - arithmetic on struct iovec arrays */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* Sum of the lengths. */
size_t iov_bytes(const struct iovec *iov, int count);

/* Drop @bytes from the front.  Moves *iov and *count past what is used up and shortens the element it ends in. */
void iov_consume(struct iovec **iov, int *count, size_t bytes);

/* The leading elements that make up at most @limit bytes; the last is cut to fit, its full length kept in *cut so that
 * iov_uncut() can restore it. Returns the number of elements. */
int iov_limit(struct iovec *iov, int count, size_t limit, size_t *cut);
void iov_uncut(struct iovec *iov, int limited, size_t cut);

/* Copy out of / into the elements; returns the bytes copied. */
size_t iov_copy_from(void *to, size_t bytes, const struct iovec *iov, int count, size_t offset);

#endif
