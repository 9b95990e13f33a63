/* SPDX-License-Identifier: BSD-3-Clause */
/* userfault_place.h - installs pages in registered memory, in runs, and wakes who waits for them */
#ifndef MEMORY_USERFAULT_PLACE_H
#define MEMORY_USERFAULT_PLACE_H

#include <linux/userfaultfd.h>
#include <stdint.h>

/* Kernel headers of 6.1 lack it (Linux 6.6). */
#ifndef _UFFDIO_POISON
#define _UFFDIO_POISON 0x08
struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

/* All go on where the kernel stopped half way, and wake.  Whole backing pages; each is there at once or not at
 * all.  Return 0, or the negative errno of the page at *done: -EEXIST where one is there already.  *done: bytes. */
int userfault_copy(int fd, uint64_t to, const void *from, uint64_t bytes, uint64_t *done);
int userfault_zero(int fd, uint64_t to, uint64_t bytes, uint64_t *done);

/* Show the file's page that is there already, without copying it. */
int userfault_continue(int fd, uint64_t to, uint64_t bytes, uint64_t *done);

/* Who touches such a page gets SIGBUS, also after the descriptor was closed. */
int userfault_poison(int fd, uint64_t to, uint64_t bytes, uint64_t *done);

#endif
