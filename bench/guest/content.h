/* SPDX-License-Identifier: BSD-3-Clause */
/* content.h - what a page of the guest holds, so that it can be recognised wherever it turns up
 *
 *       0         8         16        24            32                        4096
 *     | checksum | owner   | page    | generation  | random bytes, or words      |
 *       XXH3 of all behind it; big-endian; the owner follows from the seed
 *
 * A page's generation says how often it was written: 0 is what it is filled with.  All bytes follow from seed, page and
 * generation, so nothing of one generation appears in another.  A share of the pages, chosen by a hash of their number,
 * holds nothing but zeros, and is never written again.
 */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content {
    uint64_t seed;
    uint64_t owner;
    uint32_t zero_percent;
    uint8_t kind; /* enum spec_content */
};

enum content_state {
    CONTENT_GOOD,
    CONTENT_STALE,   /* whole, and what the page was some writes ago */
    CONTENT_DAMAGED, /* anything else */
};

/* Two rounds of multiply and shift: neighbouring numbers become unrelated ones. */
uint64_t content_hash(uint64_t value);

void content_init(struct content *content, const struct guest_spec *spec);

bool content_is_zero(const struct content *content, uint64_t page);

/* @to: 4096 bytes, aligned to 64.  A page of the zero share becomes zero, whatever the generation. */
void content_write(const struct content *content, void *to, uint64_t page, uint64_t generation);

enum content_state content_check(const struct content *content, const void *at, uint64_t page, uint64_t generation);

/* For people: what lies there instead of what should.  Returns @to. */
char *content_describe(const struct content *content, const void *at, uint64_t page, uint64_t generation, char *to,
                       size_t room);

#endif
