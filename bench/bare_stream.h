/* SPDX-License-Identifier: BSD-3-Clause */
/* bare_stream.h - memory through sockets with nothing around it: what anybody could do at most
 *
 *      plain     memory -- 1 MiB writes --> socket -- 1 MiB reads, SO_RCVLOWAT --> memory
 *      sealed    memory -- cipher --> buffer --> socket --> buffer -- cipher --> memory       512 KiB at a time
 */
#ifndef BENCH_BARE_STREAM_H
#define BENCH_BARE_STREAM_H

#include "mapping.h"

/* This end of @count connections, a thread for each; memory is dealt out evenly.  @cipher: NULL: plain. */
int bare_streams(const int *fds, unsigned count, bool sends, const char *cipher, const struct mapping *memory,
                 struct ferry_error *err);

#endif
