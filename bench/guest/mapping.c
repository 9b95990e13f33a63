/* SPDX-License-Identifier: BSD-3-Clause */
/* mapping.c - memory for a block of guest RAM */
#include "mapping.h"

#include "units.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN_BYTES ((size_t)2 << 20)

int mapping_map(struct mapping *mapping, uint64_t bytes, unsigned flags, struct ferry_error *err)
{
    int lazy = flags & MAPPING_LAZY ? MAP_NORESERVE : 0;
    size_t before;
    uint8_t *all;
    char text[32];

    /* Map more than is wanted and give back what lies before and behind the aligned part. */
    all = mmap(NULL, bytes + ALIGN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | lazy, -1, 0);
    if (all == MAP_FAILED) {
        int errnum = errno;

        return ferry_error_set(err, -errnum, "cannot map %s of guest memory: %s",
                               units_format_size(text, sizeof(text), bytes), strerror(errnum));
    }
    before = -(uintptr_t)all & (ALIGN_BYTES - 1);
    if (before)
        munmap(all, before);
    munmap(all + before + bytes, ALIGN_BYTES - before);
    mapping->host = all + before;
    mapping->bytes = bytes;
    /* Both are advice: without such pages in this kernel, it is small ones. */
    madvise(mapping->host, bytes, flags & MAPPING_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return 0;
}

void mapping_unmap(struct mapping *mapping)
{
    if (mapping->host)
        munmap(mapping->host, mapping->bytes);
    *mapping = (struct mapping){ NULL, 0 };
}
