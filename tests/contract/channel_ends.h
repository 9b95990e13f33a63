/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_ends.h - what the channel tests do over and over with the two ends of a channel
 *
 * What goes wrong in here fails the test that called.
 */
#ifndef TESTS_CHANNEL_ENDS_H
#define TESTS_CHANNEL_ENDS_H

#include "channel_contract.h"

#include <stdint.h>

/* The stream's bytes from a position on: written, and checked again. */
void ends_fill(uint8_t *to, size_t bytes, size_t position);
void ends_assert_filled(const uint8_t *from, size_t bytes, size_t position);
/* The call returned @want, and the sentence begins with the channel's label. */
void ends_assert_error(const struct ferry_channel *chan, const struct ferry_error *err, long long got, int want);
/* Both ends; the reading end of a kind that is not live is made by ends_reader_of(), once all is written. */
void ends_make(const struct channel_kind *kind, struct ferry_channel *pair[2]);
struct ferry_channel *ends_reader_of(const struct channel_kind *kind, struct ferry_channel *pair[2]);
void ends_drop(struct ferry_channel *pair[2]);
/* One element. */
ssize_t ends_read_some(struct ferry_channel *chan, void *buf, size_t bytes, struct ferry_error *err);
ssize_t ends_write_some(struct ferry_channel *chan, const void *buf, size_t bytes, struct ferry_error *err);
void ends_write_whole(struct ferry_channel *chan, const void *buf, size_t bytes);
void ends_read_whole(struct ferry_channel *chan, void *buf, size_t bytes);
void ends_finish(struct ferry_channel *chan);
void ends_assert_at_end(struct ferry_channel *chan);
void *ends_must_alloc(size_t bytes);

#endif
