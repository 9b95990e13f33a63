/* SPDX-License-Identifier: BSD-3-Clause */
/* reader.h - what only Ferry itself may do with a reader */
#ifndef STREAM_READER_H
#define STREAM_READER_H

#include <ferry/stream.h>
#include <stdbool.h>

/* How much can be given back with reader_unread(). */
#define READER_UNREAD_BYTES (320u << 10)

/**
 * reader_scatter() - read at least @want bytes into *iov, whatever comes up to all of it
 * @iov, @count: moved behind what was filled; the element in which it ends is shortened
 * @bulk: much more is coming (a hint): wake up for large pieces only
 *
 * For whoever knows, or guesses, where the coming bytes belong.  Everything read counts as consumed.
 * Returns the bytes read, or the reader's first error.
 */
ssize_t reader_scatter(struct ferry_reader *reader, struct iovec **iov, int *count, size_t want, bool bulk);

/**
 * reader_unread() - the guess was wrong: take bytes back
 *
 * @iov, @count, @offset: where the last reader_scatter()s, @got bytes in all, put them (as it was before); bytes
 * @offset to @got are taken back and will be read again.  At most READER_UNREAD_BYTES, and only directly after that
 * call.
 */
void reader_unread(struct ferry_reader *reader, const struct iovec *iov, int count, size_t offset, size_t got);

/* What is buffered and not yet consumed, without waiting for more; valid until the next call on the reader. */
size_t reader_buffered(const struct ferry_reader *reader, const uint8_t **data);

/* When the last bytes came in, by clock_now_ns(); 0: never.  Thread: any. */
int64_t reader_heard_ns(const struct ferry_reader *reader);

/* Since when whoever reads has waited for the channel to give something; now, where nobody waits.  Thread: any. */
int64_t reader_waits_since_ns(const struct ferry_reader *reader);

/* Bytes of the stream that were read before the reader was made; at most FERRY_LOOKAHEAD_BYTES, before anything else.
 */
void reader_preload(struct ferry_reader *reader, const void *data, size_t bytes);

/* Read something and forget it, even after an error.  0, or a negative errno when nothing more can come. */
int reader_drop(struct ferry_reader *reader);

/* True when nothing is left and the channel has ended: 1, else 0, or the reader's first error. */
int reader_at_end(struct ferry_reader *reader);

/* Its bytes are counted from here: for a reader of a part that was taken out of a larger stream.  Before it is used. */
void reader_count_from(struct ferry_reader *reader, uint64_t offset);

/**
 * reader_pardon() - what ferry_reader_fail() has refused is passed over after all; reading goes on where it stopped
 *
 * For whoever can tell that this is a good place.  False, and nothing changes, when the channel itself has failed or
 * nothing has.
 */
bool reader_pardon(struct ferry_reader *reader);

/* The position in the file of what is read next; -ENOTSUP where the channel has none.  0 or the reader's error. */
int reader_position(struct ferry_reader *reader, uint64_t *position);

/* Go on at @position of the file, behind what was consumed; what lies in between counts as consumed. */
int reader_seek(struct ferry_reader *reader, uint64_t position);

struct ferry_channel *reader_channel(const struct ferry_reader *reader);

/* What is read from now on comes from @chan, of which a reference is taken.  What was read ahead is forgotten, and so
 * is an error; the offset counts on.  Nobody asks it for times meanwhile. */
void reader_redirect(struct ferry_reader *reader, struct ferry_channel *chan);

/**
 * reader_fail_code() - ferry_reader_fail() with a code that says more than the errno
 * @object: the block or device that it is about; NULL: the channel
 */
int reader_fail_code(struct ferry_reader *reader, enum ferry_code code, const char *object, int errnum,
                     const char *format, ...) FERRY_PRINTF(5, 6);

/* The same with what somebody else, who returned @errnum, found in what was read: all that *why says is kept.  Nothing
 * (errnum 0, as it was before the call) is legal for *why. */
int reader_fail_why(struct ferry_reader *reader, int errnum, const struct ferry_error *why);

#endif
