/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_ends.c - what the channel tests do over and over with the two ends of a channel */
#include "channel_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static uint8_t byte_at(size_t position)
{
    return (uint8_t)(position * 2654435761u >> 13);
}

void ends_fill(uint8_t *to, size_t bytes, size_t position)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = byte_at(position + i);
}

void ends_assert_filled(const uint8_t *from, size_t bytes, size_t position)
{
    for (size_t i = 0; i < bytes; i++)
        if (from[i] != byte_at(position + i))
            fail_msg("byte %zu is %d, not %d", position + i, from[i], byte_at(position + i));
}

void ends_assert_error(const struct ferry_channel *chan, const struct ferry_error *err, long long got, int want)
{
    const char *label = ferry_channel_label(chan);

    if (got != want)
        fail_msg("got %lld instead of %d: %s", got, want, ferry_error_text(err));
    assert_int_equal(err->errnum, want);
    assert_true(strlen(label) > 0);
    if (strncmp(err->text, label, strlen(label)))
        fail_msg("'%s' does not begin with '%s'", err->text, label);
}

void ends_make(const struct channel_kind *kind, struct ferry_channel *pair[2])
{
    pair[0] = pair[1] = NULL;
    assert_int_equal(kind->make(pair), 0);
    assert_non_null(pair[0]);
    assert_true(!(kind->traits & CHANNEL_LIVE) == !pair[1]);
}

/* The reading end: there from the start, or made of what was written. */
struct ferry_channel *ends_reader_of(const struct channel_kind *kind, struct ferry_channel *pair[2])
{
    if (!pair[1])
        pair[1] = kind->reader(pair[0]);
    assert_non_null(pair[1]);
    return pair[1];
}

void ends_drop(struct ferry_channel *pair[2])
{
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

ssize_t ends_read_some(struct ferry_channel *chan, void *buf, size_t bytes, struct ferry_error *err)
{
    return ferry_channel_readv(chan, &(struct iovec){ buf, bytes }, 1, err);
}

ssize_t ends_write_some(struct ferry_channel *chan, const void *buf, size_t bytes, struct ferry_error *err)
{
    return ferry_channel_writev(chan, &(struct iovec){ (void *)(uintptr_t)buf, bytes }, 1, err);
}

void ends_write_whole(struct ferry_channel *chan, const void *buf, size_t bytes)
{
    struct iovec iov = { (void *)(uintptr_t)buf, bytes };
    struct ferry_error err = { 0 };

    if (ferry_channel_writev_all(chan, &iov, 1, &err) < 0)
        fail_msg("%s", err.text);
}

void ends_read_whole(struct ferry_channel *chan, void *buf, size_t bytes)
{
    struct ferry_error err = { 0 };

    if (ferry_channel_read_all(chan, buf, bytes, &err) < 0)
        fail_msg("%s", err.text);
}

void ends_finish(struct ferry_channel *chan)
{
    struct ferry_error err = { 0 };

    if (ferry_channel_finish(chan, &err) < 0)
        fail_msg("%s", err.text);
}

void ends_assert_at_end(struct ferry_channel *chan)
{
    struct ferry_error err = { 0 };
    char byte;

    for (int i = 0; i < 2; i++)
        if (ends_read_some(chan, &byte, 1, &err) != 0)
            fail_msg("the stream did not end: %s", ferry_error_text(&err));
}

void *ends_must_alloc(size_t bytes)
{
    void *memory = malloc(bytes);

    assert_non_null(memory);
    return memory;
}
