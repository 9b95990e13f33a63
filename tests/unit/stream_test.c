/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_test.c - what is put comes out again, errors stick, counts are exact, nothing is copied that need not be */
#include "reader.h"
#include "writer.h"

#include <errno.h>
#include <ferry/zero_copy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT (64u << 20)

struct pipe {
    struct ferry_channel *out, *in;
    struct ferry_writer *writer;
    struct ferry_reader *reader;
};

static void open_writer(struct pipe *pipe, size_t limit)
{
    memset(pipe, 0, sizeof(*pipe));
    pipe->out = ferry_channel_buffer_writer(limit, NULL);
    assert_non_null(pipe->out);
    pipe->writer = ferry_writer_new(pipe->out, NULL);
    assert_non_null(pipe->writer);
}

static void turn_round(struct pipe *pipe)
{
    const void *data;
    size_t bytes;

    assert_int_equal(ferry_writer_flush(pipe->writer, NULL), 0);
    data = ferry_channel_buffer_data(pipe->out, &bytes);
    pipe->in = ferry_channel_buffer_reader(data, bytes, NULL);
    pipe->reader = ferry_reader_new(pipe->in, NULL);
    assert_non_null(pipe->reader);
}

static void close_pipe(struct pipe *pipe)
{
    ferry_writer_free(pipe->writer);
    ferry_reader_free(pipe->reader);
    ferry_channel_unref(pipe->out);
    ferry_channel_unref(pipe->in);
}

static void values_come_out_as_they_went_in(void **state)
{
    struct pipe pipe;
    char name[256];
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    open_writer(&pipe, LIMIT);
    ferry_put_u8(pipe.writer, 0x12);
    ferry_put_be16(pipe.writer, 0x3456);
    ferry_put_be32(pipe.writer, 0x789abcde);
    ferry_put_be64(pipe.writer, UINT64_C(0xfedcba9876543210));
    ferry_put_cstr8(pipe.writer, "ram");
    assert_int_equal(ferry_writer_offset(pipe.writer), 19);
    turn_round(&pipe);
    assert_int_equal(ferry_get_u8(pipe.reader, &u8), 0);
    assert_int_equal(ferry_get_be16(pipe.reader, &u16), 0);
    assert_int_equal(ferry_get_be32(pipe.reader, &u32), 0);
    assert_int_equal(ferry_get_be64(pipe.reader, &u64), 0);
    assert_int_equal(ferry_get_cstr8(pipe.reader, name), 0);
    assert_int_equal(u8, 0x12);
    assert_int_equal(u16, 0x3456);
    assert_int_equal(u32, 0x789abcde);
    assert_true(u64 == UINT64_C(0xfedcba9876543210));
    assert_string_equal(name, "ram");
    assert_int_equal(ferry_reader_offset(pipe.reader), 19);
    assert_int_equal(reader_at_end(pipe.reader), 1);
    close_pipe(&pipe);
}

/* References are read when they are flushed, not when they are put: so they were not copied. */
static void references_are_not_copied(void **state)
{
    struct pipe pipe;
    uint8_t page[4096], back[4096];

    open_writer(&pipe, LIMIT);
    memset(page, 1, sizeof(page));
    ferry_put_be64(pipe.writer, 8);
    ferry_put_ref(pipe.writer, page, sizeof(page));
    memset(page, 2, sizeof(page));
    turn_round(&pipe);
    assert_int_equal(ferry_reader_skip(pipe.reader, 8), 0);
    assert_int_equal(ferry_get_bytes(pipe.reader, back, sizeof(back)), 0);
    assert_memory_equal(back, page, sizeof(page));
    close_pipe(&pipe);
}

static void large_and_small_pieces_mix(void **state)
{
    enum { PIECES = 3000 };
    uint8_t *memory = malloc(PIECES * 4096u), *back = malloc(PIECES * 4096u);
    struct pipe pipe;

    for (size_t i = 0; i < PIECES * 4096u; i++)
        memory[i] = (uint8_t)(i * 31 + i / 4096);
    open_writer(&pipe, LIMIT);
    for (unsigned i = 0; i < PIECES; i++) {
        ferry_put_be32(pipe.writer, i);
        ferry_put_ref(pipe.writer, memory + i * 4096u, (i * 37) % 4097);
    }
    turn_round(&pipe);
    for (unsigned i = 0; i < PIECES; i++) {
        uint32_t number;

        assert_int_equal(ferry_get_be32(pipe.reader, &number), 0);
        assert_int_equal(number, i);
        assert_int_equal(ferry_get_bytes(pipe.reader, back, (i * 37) % 4097), 0);
        assert_memory_equal(back, memory + i * 4096u, (i * 37) % 4097);
    }
    assert_int_equal(reader_at_end(pipe.reader), 1);
    close_pipe(&pipe);
    free(memory);
    free(back);
}

static void the_first_error_stays(void **state)
{
    struct pipe pipe;
    struct ferry_error err;
    uint8_t page[4096] = { 0 };

    open_writer(&pipe, 1000);
    ferry_put_ref(pipe.writer, page, sizeof(page));
    assert_int_equal(ferry_writer_flush(pipe.writer, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "buffer"));
    ferry_put_cstr8(pipe.writer, "");
    assert_int_equal(ferry_writer_flush(pipe.writer, &err), -ENOSPC);
    close_pipe(&pipe);
}

static void an_end_in_mid_value_says_where(void **state)
{
    struct pipe pipe;
    struct ferry_error err;
    uint32_t value = 99;
    uint8_t next;

    open_writer(&pipe, LIMIT);
    ferry_put_be32(pipe.writer, 5);
    ferry_put_be16(pipe.writer, 6);
    turn_round(&pipe);
    assert_int_equal(ferry_get_be32(pipe.reader, &value), 0);
    value = 99;
    assert_int_equal(ferry_get_be32(pipe.reader, &value), -EPIPE);
    assert_int_equal(value, 99);
    assert_int_equal(ferry_get_u8(pipe.reader, &next), -EPIPE);
    assert_int_equal(ferry_reader_status(pipe.reader, &err), -EPIPE);
    assert_non_null(strstr(err.text, "byte 4"));
    close_pipe(&pipe);
}

static void peeking_consumes_nothing(void **state)
{
    uint8_t memory[6000];
    struct pipe pipe;
    const uint8_t *data;

    for (size_t i = 0; i < sizeof(memory); i++)
        memory[i] = (uint8_t)(i ^ (i >> 8));
    open_writer(&pipe, LIMIT);
    ferry_put_bytes(pipe.writer, memory, sizeof(memory));
    turn_round(&pipe);
    assert_int_equal(ferry_reader_skip(pipe.reader, 3000), 0);
    assert_int_equal(ferry_reader_peek(pipe.reader, 600, &data), 600);
    assert_memory_equal(data, memory + 3000, 600);
    assert_int_equal(ferry_reader_peek(pipe.reader, 4096, &data), 3000);
    assert_memory_equal(data, memory + 3000, 3000);
    assert_int_equal(ferry_reader_offset(pipe.reader), 3000);
    assert_true(ferry_reader_peek(pipe.reader, FERRY_LOOKAHEAD_BYTES + 1, &data) < 0);
    close_pipe(&pipe);
}

static void names_with_a_nul_or_nothing_are_refused(void **state)
{
    struct pipe pipe;
    char name[256];

    open_writer(&pipe, LIMIT);
    ferry_put_u8(pipe.writer, 3);
    ferry_put_bytes(pipe.writer, "a\0b", 3);
    turn_round(&pipe);
    assert_int_equal(ferry_get_cstr8(pipe.reader, name), -EPROTO);
    close_pipe(&pipe);
    open_writer(&pipe, LIMIT);
    ferry_put_u8(pipe.writer, 0);
    turn_round(&pipe);
    assert_int_equal(ferry_get_cstr8(pipe.reader, name), -EPROTO);
    close_pipe(&pipe);
}

/* Scatter over scattered places, take the tail back at every possible point, read it again: all bytes, in order. */
static void what_is_unread_is_read_again(void **state)
{
    enum { BYTES = 9000 };
    uint8_t memory[BYTES], a[1000], b[3000], again[BYTES];

    for (size_t i = 0; i < BYTES; i++)
        memory[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t back = 0; back <= 4000; back += 125) {
        struct iovec places[2] = { { a, sizeof(a) }, { b, sizeof(b) } }, moving[2] = { places[0], places[1] };
        struct iovec *iov = moving;
        struct pipe pipe;
        int count = 2;
        ssize_t got;

        open_writer(&pipe, LIMIT);
        ferry_put_bytes(pipe.writer, memory, BYTES);
        turn_round(&pipe);
        assert_int_equal(ferry_get_bytes(pipe.reader, again, 100), 0);
        got = reader_scatter(pipe.reader, &iov, &count, 4000, false);
        assert_int_equal(got, 4000);
        assert_memory_equal(b, memory + 1100, 3000);
        reader_unread(pipe.reader, places, 2, (size_t)got - back, (size_t)got);
        assert_int_equal(ferry_reader_offset(pipe.reader), 4100 - back);
        assert_int_equal(ferry_get_bytes(pipe.reader, again, BYTES - 4100 + back), 0);
        assert_memory_equal(again, memory + 4100 - back, BYTES - 4100 + back);
        assert_int_equal(reader_at_end(pipe.reader), 1);
        close_pipe(&pipe);
    }
}

/* Over a socket both directions work, each with its own writer and reader. */
static void the_return_path_runs_backwards(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_writer *there, *back_writer;
    struct ferry_reader *here, *back_reader;
    uint32_t value;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    there = ferry_writer_new(pair[0], NULL);
    here = ferry_reader_new(pair[1], NULL);
    back_writer = ferry_reader_return_path(here, NULL);
    back_reader = ferry_writer_return_path(there, NULL);
    assert_non_null(back_writer);
    assert_non_null(back_reader);
    ferry_put_be32(back_writer, 42);
    assert_int_equal(ferry_writer_flush(back_writer, NULL), 0);
    assert_int_equal(ferry_get_be32(back_reader, &value), 0);
    assert_int_equal(value, 42);
    ferry_writer_free(there);
    ferry_writer_free(back_writer);
    ferry_reader_free(here);
    ferry_reader_free(back_reader);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

static void a_one_way_channel_has_no_return_path(void **state)
{
    struct ferry_error err;
    struct pipe pipe;

    open_writer(&pipe, LIMIT);
    assert_null(ferry_writer_return_path(pipe.writer, &err));
    assert_int_equal(err.errnum, -ENOTSUP);
    close_pipe(&pipe);
}

/* Small values and lent memory in turns, over a socket that can and a channel that cannot: the bytes are the same. */
static void lent_memory_goes_out_in_its_place(void **state)
{
    struct ferry_listener *listener = ferry_listener_open("tcp:127.0.0.1:0", NULL);
    struct ferry_channel *out = ferry_channel_connect(ferry_listener_address(listener), 1000, NULL);
    struct ferry_channel *in = ferry_listener_accept(listener, 1000, NULL);
    struct ferry_writer *writer = ferry_writer_new(out, NULL);
    struct ferry_reader *reader = ferry_reader_new(in, NULL);
    static uint8_t memory[64 << 10], got[sizeof(memory)];

    for (size_t i = 0; i < sizeof(memory); i++)
        memory[i] = (uint8_t)(i * 5 + i / 256);
    assert_int_equal(ferry_channel_set_zero_copy(out, true, NULL), 0);
    for (uint32_t round = 0; round < 24; round++) {
        uint32_t value;

        ferry_put_be32(writer, round);
        writer_put_lent(writer, memory, sizeof(memory) / 2);
        writer_put_lent(writer, memory + sizeof(memory) / 2, sizeof(memory) / 2);
        ferry_put_ref(writer, memory, 100);
        assert_int_equal(ferry_writer_flush(writer, NULL), 0);
        assert_int_equal(ferry_get_be32(reader, &value), 0);
        assert_int_equal(value, round);
        assert_int_equal(ferry_get_bytes(reader, got, sizeof(got)), 0);
        assert_memory_equal(got, memory, sizeof(got));
        assert_int_equal(ferry_get_bytes(reader, got, 100), 0);
        assert_memory_equal(got, memory, 100);
    }
    assert_int_equal(writer_sync(writer, NULL), 0);
    ferry_writer_free(writer);
    ferry_reader_free(reader);
    ferry_channel_unref(out);
    ferry_channel_unref(in);
    ferry_listener_free(listener);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lent_memory_goes_out_in_its_place),
        cmocka_unit_test(values_come_out_as_they_went_in),
        cmocka_unit_test(references_are_not_copied),
        cmocka_unit_test(large_and_small_pieces_mix),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(an_end_in_mid_value_says_where),
        cmocka_unit_test(peeking_consumes_nothing),
        cmocka_unit_test(names_with_a_nul_or_nothing_are_refused),
        cmocka_unit_test(what_is_unread_is_read_again),
        cmocka_unit_test(the_return_path_runs_backwards),
        cmocka_unit_test(a_one_way_channel_has_no_return_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
