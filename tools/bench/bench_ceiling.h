/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_ceiling.h - what could be done at most: the same link with nothing around it, and the cipher by itself
 *
 *      source   ceiling_push: memory ---- N streams ----> ceiling_pull: memory   destination
 *                             |<------- duration -------->|
 *                             | start |   counted   | end |
 *
 * Memory is larger than caches and was touched before.  The destination counts, and only in the middle of the time:
 * what waits in a queue at the source is not what a link carries.
 */
#ifndef TOOLS_BENCH_CEILING_H
#define TOOLS_BENCH_CEILING_H

#include <ferry/channel.h>
#include <stdint.h>

#define CEILING_STREAMS_MAX 64

/* Connect @streams times to @uri and write for @duration_ns. */
int ceiling_push(const char *uri, unsigned streams, int64_t duration_ns, struct ferry_error *err);

/* Take @streams connections and read until their ends.  *rate: in bytes per second. */
int ceiling_pull(struct ferry_listener *listener, unsigned streams, int64_t duration_ns, double *rate,
                 struct ferry_error *err);

/* Records of TLS sealed by one thread, by the cipher that is fastest here: bytes per second.  *name: static. */
int ceiling_cipher(double *rate, const char **name, struct ferry_error *err);

#endif
