/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.h - typed, checked, buffered access to one direction of a channel
 *
 * A writer gathers, a reader looks ahead; integers are big-endian.  Both remember their first error: a putter is void
 * and becomes a no-op after it, a getter returns it again and leaves its target alone.  Both count their bytes, so that
 * every message can say where.  A writer or reader belongs to one thread at a time.
 */
#ifndef FERRY_STREAM_H
#define FERRY_STREAM_H

#include <ferry/api.h>
#include <ferry/channel.h>
#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

struct ferry_writer;
struct ferry_reader;

/* How far a reader can always look ahead, as long as the peer has sent that much. */
#define FERRY_LOOKAHEAD_BYTES 4096

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* A writer over @chan, of which it takes a reference of its own. */
FERRY_API struct ferry_writer *ferry_writer_new(struct ferry_channel *chan, struct ferry_error *err);

/* Drops what was not flushed.  NULL is legal. */
FERRY_API void ferry_writer_free(struct ferry_writer *writer);

FERRY_API void ferry_put_u8(struct ferry_writer *writer, uint8_t value);
FERRY_API void ferry_put_be16(struct ferry_writer *writer, uint16_t value);
FERRY_API void ferry_put_be32(struct ferry_writer *writer, uint32_t value);
FERRY_API void ferry_put_be64(struct ferry_writer *writer, uint64_t value);

/* Copied before the call returns. */
FERRY_API void ferry_put_bytes(struct ferry_writer *writer, const void *data, size_t bytes);

/* One length byte, then the text without its NUL: 1 to 255 bytes of text, anything else is the writer's error. */
FERRY_API void ferry_put_cstr8(struct ferry_writer *writer, const char *text);

/**
 * ferry_put_ref() - send memory without copying it
 * @data: borrowed until the next ferry_writer_flush() returns; what it holds when the kernel takes it is what is sent
 *
 * References that touch in memory are sent as one piece.
 */
FERRY_API void ferry_put_ref(struct ferry_writer *writer, const void *data, size_t bytes);

/* Make the writer fail, as if the channel had; the first error stays. */
FERRY_API void ferry_writer_fail(struct ferry_writer *writer, const struct ferry_error *err);

/* Hand everything to the channel.  Returns 0 or the writer's first error. */
FERRY_API int ferry_writer_flush(struct ferry_writer *writer, struct ferry_error *err) FERRY_CHECK;

/* The first error so far, or 0; does not flush. */
FERRY_API int ferry_writer_status(const struct ferry_writer *writer, struct ferry_error *err);

/* Bytes put so far, flushed or not. */
FERRY_API uint64_t ferry_writer_offset(const struct ferry_writer *writer);

/* A new reader of the same channel's other direction, or NULL (-ENOTSUP where there is none).  The caller's. */
FERRY_API struct ferry_reader *ferry_writer_return_path(struct ferry_writer *writer, struct ferry_error *err);

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* A reader over @chan, of which it takes a reference of its own. */
FERRY_API struct ferry_reader *ferry_reader_new(struct ferry_channel *chan, struct ferry_error *err);
FERRY_API void ferry_reader_free(struct ferry_reader *reader);

/* 0, or the reader's first error; *value is set only on 0.  An end of the stream in mid-value is -EPIPE. */
FERRY_API int ferry_get_u8(struct ferry_reader *reader, uint8_t *value) FERRY_CHECK;
FERRY_API int ferry_get_be16(struct ferry_reader *reader, uint16_t *value) FERRY_CHECK;
FERRY_API int ferry_get_be32(struct ferry_reader *reader, uint32_t *value) FERRY_CHECK;
FERRY_API int ferry_get_be64(struct ferry_reader *reader, uint64_t *value) FERRY_CHECK;

/* Large reads go straight to @to, whatever is not already buffered. */
FERRY_API int ferry_get_bytes(struct ferry_reader *reader, void *to, size_t bytes) FERRY_CHECK;

/* Counterpart of ferry_put_cstr8(): NUL-terminated; an empty text or a NUL inside is -EPROTO. */
FERRY_API int ferry_get_cstr8(struct ferry_reader *reader, char to[256]) FERRY_CHECK;

FERRY_API int ferry_reader_skip(struct ferry_reader *reader, uint64_t bytes) FERRY_CHECK;

/**
 * ferry_reader_peek() - look ahead without consuming
 * @want: at most FERRY_LOOKAHEAD_BYTES
 * @data: where the bytes lie, valid until the next call on the reader
 *
 * Returns how many bytes lie there: @want, or fewer when the stream ends before; a negative errno on error.
 */
FERRY_API ssize_t ferry_reader_peek(struct ferry_reader *reader, size_t want, const uint8_t **data) FERRY_CHECK;

/**
 * ferry_reader_fail() - refuse what was just read
 *
 * The sentence gets the channel's label and the offset put in front; both are noted in the error, too.  Returns the
 * reader's first error, so that the failing line is one line.
 */
FERRY_API int ferry_reader_fail(struct ferry_reader *reader, int errnum, const char *format, ...) FERRY_PRINTF(3, 4);

FERRY_API int ferry_reader_status(const struct ferry_reader *reader, struct ferry_error *err);

/* Bytes consumed so far. */
FERRY_API uint64_t ferry_reader_offset(const struct ferry_reader *reader);

/* A new writer to the same channel's other direction, or NULL (-ENOTSUP where there is none).  The caller's. */
FERRY_API struct ferry_writer *ferry_reader_return_path(struct ferry_reader *reader, struct ferry_error *err);

FERRY_END_DECLS

#endif
