/* SPDX-License-Identifier: BSD-3-Clause */
/* mapping.h - memory for a block of guest RAM */
#ifndef BENCH_MAPPING_H
#define BENCH_MAPPING_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

struct mapping {
    uint8_t *host; /* aligned to 2 MiB; NULL: nothing is mapped */
    uint64_t bytes;
};

enum mapping_flags {
    MAPPING_LAZY = 1, /* may be larger than what this machine has: not reserved */
    MAPPING_HUGE = 2, /* let the kernel use transparent huge pages */
};

/* Private anonymous memory that reads as zero.  @bytes: a multiple of 4096, more than 0. */
int mapping_map(struct mapping *mapping, uint64_t bytes, unsigned flags, struct ferry_error *err);

/* Legal when nothing is mapped. */
void mapping_unmap(struct mapping *mapping);

#endif
