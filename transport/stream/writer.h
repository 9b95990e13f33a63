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
void writer_set_limit(struct ferry_writer *writer, struct ratelimit *limit, enum ratelimit_class class);

/**
 * writer_reserve() - room for @bytes in a row, which count as put
 *
 * For those who put very many small records: fill it before the next call on the writer.  Never NULL: after an error
 * the room leads nowhere.
 */
uint8_t *writer_reserve(struct ferry_writer *writer, size_t bytes);

/**
 * writer_put_lent() - ferry_put_ref() of memory that stays mapped until writer_sync()
 *
 * It may change meanwhile.  On a channel with zero copy (ferry/zero_copy.h) it goes out as it lies.
 */
void writer_put_lent(struct ferry_writer *writer, const void *data, size_t bytes);

/* Flush, and wait until nothing that was lent is needed any more. */
int writer_sync(struct ferry_writer *writer, struct ferry_error *err);

/* Bytes handed to the channel so far. */
uint64_t writer_flushed(const struct ferry_writer *writer);

/**
 * writer_position() - the position in the file of what is put next
 *
 * Flushes.  -ENOTSUP where the channel has no positions.
 */
int writer_position(struct ferry_writer *writer, uint64_t *position, struct ferry_error *err);

/* Flush, and go on at @position of the file; what lies in between counts as put, not as flushed. */
int writer_seek(struct ferry_writer *writer, uint64_t position, struct ferry_error *err);

struct ferry_channel *writer_channel(const struct ferry_writer *writer);

/* What comes from now on goes to @chan, of which a reference is taken.  What was not flushed is forgotten, and so is an
 * error; figures count on. */
void writer_redirect(struct ferry_writer *writer, struct ferry_channel *chan);

#endif
