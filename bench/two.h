/* SPDX-License-Identifier: BSD-3-Clause */
/* two.h - two processes that begin at the same moment, and what each of them took
 *
 *      this process    prepare ---.  run ........... finish
 *      a child         prepare ---'  run ................... finish
 *                                 |<------- ns ----->|
 */
#ifndef BENCH_TWO_H
#define BENCH_TWO_H

#include <ferry/error.h>
#include <stdint.h>

/* Each returns 0 or a negative errno; NULL: nothing. */
struct two_side {
    int (*prepare)(void *opaque, struct ferry_error *err);
    int (*run)(void *opaque, struct ferry_error *err);
    int (*finish)(void *opaque, struct ferry_error *err); /* not measured; after both have run */
};

struct two_took {
    int64_t ns;        /* until both had run */
    int64_t cpu_ns[2]; /* of run */
};

/**
 * two_run() - @sides[0] here, @sides[1] in a child
 * @opaque: as fork() leaves it, each has its own
 *
 * This process has a single thread.  The child ends when its functions have returned; where one fails, the other's
 * connections to it must break, or it would be waited for.
 */
int two_run(const struct two_side sides[2], void *opaque, struct two_took *took, struct ferry_error *err);

#endif
