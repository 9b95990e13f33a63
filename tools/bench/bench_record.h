/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_record.h - `ferry bench --record-dirty`: which pages a process, or a guest of ours, writes when */
#ifndef TOOLS_BENCH_RECORD_H
#define TOOLS_BENCH_RECORD_H

#include "await.h"

#include <stdint.h>

struct record_terms {
    const char *what; /* a PID, or a guest: "pattern:size=1GiB,..." */
    const char *path; /* of the trace; must not be there yet */
    const char *way;  /* auto, watch or compare; for a PID */
    int64_t for_ns, every_ns;
    bool quiet;
    struct await *await; /* a signal ends it early */
};

/* -EINVAL: what was asked for makes no sense. */
int bench_record(const struct record_terms *terms, struct ferry_error *err);

#endif
