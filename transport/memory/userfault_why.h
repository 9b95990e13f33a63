/* SPDX-License-Identifier: BSD-3-Clause */
/* userfault_why.h - why this process gets no userfaultfd, in words */
#ifndef MEMORY_USERFAULT_WHY_H
#define MEMORY_USERFAULT_WHY_H

#include "userfault.h"
#include <ferry/error.h>
#include <stddef.h>

/**
 * userfault_refused() - both doors are shut
 * @call: errno of userfaultfd(2)
 * @device: errno of /dev/userfaultfd
 *
 * Describes it: privilege, sysctl, seccomp filter, kernel.  Returns -EPERM, -ENOENT (no userfaultfd in this kernel) or
 * another negative errno.
 */
int userfault_refused(enum userfault_scope scope, int call, int device, struct ferry_error *err);

/* The names of @features, as a list in words: "missing faults in shared memory, thread ids".  Returns @text. */
const char *userfault_feature_names(uint64_t features, char *text, size_t bytes);

#endif
