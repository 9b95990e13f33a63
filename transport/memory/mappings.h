/* SPDX-License-Identifier: BSD-3-Clause */
/* mappings.h - what the kernel says of this process's memory: /proc/self/smaps */
#ifndef MEMORY_MAPPINGS_H
#define MEMORY_MAPPINGS_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

struct mapping_facts {
    uint64_t start, end;
    uint64_t page_bytes; /* of its backing */
    bool writable;
    bool shared;       /* with who else maps the same file */
    bool file;         /* a file lies beneath (anonymous shared and huge memory has one, too) */
    bool locked;       /* mlock() */
    bool device;       /* no ordinary memory */
    bool huge_wanted;  /* MADV_HUGEPAGE */
    bool huge_refused; /* MADV_NOHUGEPAGE */
};

/* Calls @seen for each mapping, in order of address, until it returns other than 0, which is returned then.  The kernel
 * walks the page tables for it: some 10 ms per GiB of small pages that are there. */
int mappings_each(int (*seen)(void *opaque, const struct mapping_facts *facts), void *opaque, struct ferry_error *err);

#endif
