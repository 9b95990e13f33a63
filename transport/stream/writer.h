/* SPDX-License-Identifier: BSD-3-Clause */
/* writer.h - what only Ferry itself may do with a writer */
#ifndef STREAM_WRITER_H
#define STREAM_WRITER_H

#include "ratelimit.h"

#include <ferry/stream.h>

/* How many bytes a writer gathers before it writes of its own accord. */
#define WRITER_GATHER_BYTES (1u << 20)

/* The most that writer_reserve() gives. */
#define WRITER_RESERVE_BYTES 4096

/* Everything that is flushed draws from @limit first (borrowed; NULL: no limit). */
void writer_set_limit(struct ferry_writer *writer, struct ratelimit *limit);

/**
 * writer_reserve() - room for @bytes in a row, which count as put
 *
 * For those who put very many small records: fill it before the next call on the writer.  Never NULL: after an error
 * the room leads nowhere.
 */
uint8_t *writer_reserve(struct ferry_writer *writer, size_t bytes);

/* Bytes handed to the channel so far. */
uint64_t writer_flushed(const struct ferry_writer *writer);

struct ferry_channel *writer_channel(const struct ferry_writer *writer);

#endif
