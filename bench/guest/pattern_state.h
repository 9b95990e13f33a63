/* SPDX-License-Identifier: BSD-3-Clause */
/* pattern_state.h - the pattern guest's device state: what it is like, its heart, and how often each region was written
 *
 * Eight bytes for each megabyte; where a trace is replayed, a KiB.  A load believes nothing: it is refused unless it
 * fits the memory that is there.
 */
#ifndef BENCH_PATTERN_STATE_H
#define BENCH_PATTERN_STATE_H

#include "heart.h"
#include "spec.h"

#include <ferry/state.h>

struct pattern_state;

/* What the guest does at either end; @opaque is pattern_state.opaque. */
struct pattern_state_ops {
    void (*saving)(void *opaque);                         /* bring the members up to date */
    uint64_t (*device_bytes)(void *opaque);               /* of memory that a device has here */
    int (*loaded)(void *opaque, struct ferry_error *err); /* the members are new */
};

struct pattern_state {
    /* on the wire */
    struct guest_spec spec;
    struct heart_record heart;
    uint32_t region_count;
    uint64_t *writes;   /* owned, from malloc */
    uint32_t own_count; /* 0, or with SPEC_TRACE the number of pages */
    uint32_t *own;      /* how often each page was written; owned, from malloc; NULL: not counted */

    /* not on the wire */
    uint64_t ram_bytes; /* of the memory that is there */
    uint64_t untouched_bytes;
    bool loaded;
    const struct pattern_state_ops *ops;
    void *opaque;
};

extern const struct ferry_state_desc pattern_state_desc;

#endif
