/* SPDX-License-Identifier: BSD-3-Clause */
/* userfault.h - opening a userfaultfd and handing memory to it */
#ifndef MEMORY_USERFAULT_H
#define MEMORY_USERFAULT_H

#include <ferry/memory.h>
#include <linux/userfaultfd.h>

/* Kernel headers of 6.1 lack these. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13) /* Linux 6.4 */
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15) /* Linux 6.7 */
#endif

/* Whose faults are to be handled. */
enum userfault_scope {
    USERFAULT_USER_ONLY,  /* only of this process's own code; any process may ask for it */
    USERFAULT_KERNEL_TOO, /* also of system calls and of a hypervisor; needs a privilege or /dev/userfaultfd */
};

/**
 * userfault_open() - a userfaultfd with @features, close-on-exec and non-blocking
 *
 * Returns the descriptor, which the caller closes; -EPERM, -ENOENT (no userfaultfd in this kernel) or -ENOTSUP (not
 * with these features), with a hint what to do.
 */
int userfault_open(enum userfault_scope scope, uint64_t features, struct ferry_error *err);

/* Switch @features on, for a descriptor that was opened elsewhere.  -ENOTSUP names what the kernel lacks; after a
 * failure the descriptor is of no use. */
int userfault_agree(int fd, uint64_t features, struct ferry_error *err);

/**
 * userfault_register() - have faults of @block handled
 * @mode: UFFDIO_REGISTER_MODE_...
 * @ioctls: what the handler must be able to do, bits `1 << _UFFDIO_...`; -ENOTSUP if this memory cannot
 */
int userfault_register(int fd, const struct ferry_block *block, uint64_t mode, uint64_t ioctls,
                       struct ferry_error *err);

/* Faults are the kernel's again; wakes all who wait.  Memory that is not registered is left alone. */
void userfault_unregister(int fd, const struct ferry_block *block);

/**
 * userfault_protect() - write-protect a range or lift it
 * @mode: UFFDIO_WRITEPROTECT_MODE_WP to protect; 0 to lift and wake who waits there
 *
 * Returns 0 or a negative errno.
 */
int userfault_protect(int fd, uint64_t start, uint64_t bytes, uint64_t mode);

/* Let who waits for a page of this range try again. */
void userfault_wake(int fd, uint64_t start, uint64_t bytes);

#endif
