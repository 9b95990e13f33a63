/* SPDX-License-Identifier: BSD-3-Clause */
/* spec.h - what a synthetic guest is to be like: "size=1GiB,dirty=200MiB/s,zero=30%"
 *
 *     size=256MiB               its memory
 *     dirty=0                   how fast it writes: a rate, or "unlimited"
 *     pattern=uniform           where: all over, one after another (sequential), or in a part of it (hot);
 *                               or when: all over, in bursts; or as a recorded trace says
 *     hot=25%                   which part that is; implies pattern=hot
 *     hot-share=100%            how many writes go there; the others go everywhere else; pattern guests only
 *     burst=100ms pause=400ms   how long it writes, and how long it does not; imply pattern=bursts
 *     trace=FILE                replay which pages were written when (trace.h); implies pattern=trace; pattern only
 *     zero=0%                   share of pages that hold zeros
 *     untouched=0               more memory, which is never touched at all
 *     content=random            or text, or mixed
 *     vfio=0                    a simulated device with so much memory of its own; pattern guests only
 *     vfio-still=off            on: that memory is read only while the guest stands still
 *     beats=10000               of its heart, a second; pattern guests only
 *     reads=0                   how fast it reads, all over: as dirty; pattern guests only
 *     threads=1 seed=1 huge=on  writers; what makes one guest differ from another; transparent huge pages
 *     dirty-log=bitmap          kvm only: how written pages are found; or ring, or uffd
 */
#ifndef BENCH_SPEC_H
#define BENCH_SPEC_H

#include <ferry/error.h>
#include <stdbool.h>
#include <stdint.h>

#define SPEC_SIZE_MAX      (UINT64_C(1) << 40)
#define SPEC_UNTOUCHED_MAX (UINT64_C(32) << 40)
#define SPEC_VFIO_MAX      (UINT64_C(1) << 30)
#define SPEC_THREADS_MAX   64
#define SPEC_UNLIMITED     UINT64_MAX

#define SPEC_BEATS_MAX    10000
#define SPEC_BURST_MIN_NS UINT64_C(1000000)
#define SPEC_BURST_MAX_NS UINT64_C(3600000000000)
#define SPEC_TRACE_SIZE_MAX \
    (UINT64_C(64) << 30)     /* of a guest that replays a trace: its state has a count for each page */
#define SPEC_TRACE_BYTES 384 /* of the file's name, its NUL included */

/* The numbers are in the guest's device state: never reused. */
enum spec_pattern {
    SPEC_UNIFORM = 1,
    SPEC_SEQUENTIAL = 2,
    SPEC_HOT = 3,
    SPEC_BURSTS = 4,
    SPEC_TRACE = 5,
};

enum spec_content {
    SPEC_RANDOM = 1,
    SPEC_TEXT = 2,
    SPEC_MIXED = 3,
};

/* Not in the device state: a matter of the source alone. */
enum spec_dirty_log {
    SPEC_LOG_DEFAULT,
    SPEC_LOG_BITMAP,
    SPEC_LOG_RING,
    SPEC_LOG_UFFD,
};

struct guest_spec {
    uint64_t size_bytes;
    uint64_t untouched_bytes;
    uint64_t dirty_bytes_per_sec; /* 0: never writes; SPEC_UNLIMITED */
    uint64_t seed;
    uint64_t vfio_bytes;          /* 0: no such device */
    uint64_t reads_bytes_per_sec; /* 0: never reads; SPEC_UNLIMITED */
    uint64_t burst_ns;            /* with SPEC_BURSTS, as pause_ns */
    uint64_t pause_ns;
    uint32_t hot_percent;
    uint32_t hot_share_percent; /* of all writes; the others go to the other pages */
    uint32_t zero_percent;
    uint32_t threads;
    uint32_t beats;    /* not in the device state: a matter of the source alone; 0: as usual */
    uint8_t pattern;   /* enum spec_pattern */
    uint8_t content;   /* enum spec_content */
    uint8_t dirty_log; /* enum spec_dirty_log */
    bool huge;
    bool vfio_still;              /* not in the device state: its memory is read only while it stands still */
    bool sized;                   /* not in the device state: size was given */
    char trace[SPEC_TRACE_BYTES]; /* not in the device state: a file of the source; empty: none */
};

/* @text: "key=value,..."; NULL or empty: all defaults.  *spec is set only on 0, and has passed spec_check(). */
int spec_parse(const char *text, struct guest_spec *spec, struct ferry_error *err);

/* Is there such a key? */
bool spec_has_key(const char *key);

/* Whether every member is within its bounds and they go together, wherever they came from. */
int spec_check(const struct guest_spec *spec, struct ferry_error *err);

#endif
