/* SPDX-License-Identifier: BSD-3-Clause */
/* chunk_test.c - chunks come back as they were put, and one that claims too much is refused before it is read */
#include <ferry/iterative.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct ferry_reader *reader_of(const void *data, size_t bytes)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct ferry_reader *reader = ferry_reader_new(chan, NULL);

    ferry_channel_unref(chan);
    assert_non_null(reader);
    return reader;
}

static void what_is_put_comes_back(void **state)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 16, NULL);
    struct ferry_writer *writer = ferry_writer_new(chan, NULL);
    struct ferry_reader *reader;
    uint8_t to[8];
    uint8_t last;
    size_t bytes;
    const void *data;

    ferry_put_chunk(writer, "abc", 3);
    ferry_put_chunk(writer, "12345678", 8);
    ferry_put_chunk_end(writer);
    ferry_put_chunk(writer, "skipped", 7);
    ferry_put_chunk_end(writer);
    ferry_put_u8(writer, 0x7e);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    data = ferry_channel_buffer_data(chan, &bytes);
    reader = reader_of(data, bytes);
    assert_int_equal(ferry_get_chunk(reader, to, sizeof(to)), 3);
    assert_memory_equal(to, "abc", 3);
    assert_int_equal(ferry_get_chunk(reader, to, sizeof(to)), 8);
    assert_memory_equal(to, "12345678", 8);
    assert_int_equal(ferry_get_chunk(reader, to, sizeof(to)), 0);
    assert_int_equal(ferry_skip_chunks(reader), 0);
    assert_int_equal(ferry_get_u8(reader, &last), 0);
    assert_int_equal(last, 0x7e);
    ferry_reader_free(reader);
    ferry_writer_free(writer);
    ferry_channel_unref(chan);
}

static void what_claims_too_much_is_refused(void **state)
{
    static const uint8_t nine[] = { 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 1 };
    static const uint8_t cut[] = { 0, 0, 0, 4, 1, 2 };
    struct ferry_reader *reader = reader_of(nine, sizeof(nine));
    uint8_t to[8];

    assert_int_equal(ferry_get_chunk(reader, to, sizeof(to)), -EPROTO);
    ferry_reader_free(reader);
    reader = reader_of(huge, sizeof(huge));
    assert_int_equal(ferry_skip_chunks(reader), -EPROTO);
    ferry_reader_free(reader);
    reader = reader_of(cut, sizeof(cut));
    assert_int_equal(ferry_get_chunk(reader, to, sizeof(to)), -EPIPE);
    ferry_reader_free(reader);
}

static void what_cannot_be_put_is_the_writers_error(void **state)
{
    static uint8_t large[FERRY_CHUNK_MAX + 1];
    static const size_t lengths[] = { 0, sizeof(large) };

    for (size_t i = 0; i < 2; i++) {
        struct ferry_channel *chan = ferry_channel_buffer_writer(1 << 22, NULL);
        struct ferry_writer *writer = ferry_writer_new(chan, NULL);

        ferry_put_chunk(writer, large, FERRY_CHUNK_MAX);
        assert_int_equal(ferry_writer_status(writer, NULL), 0);
        ferry_put_chunk(writer, large, lengths[i]);
        assert_int_equal(ferry_writer_flush(writer, NULL), -EINVAL);
        ferry_writer_free(writer);
        ferry_channel_unref(chan);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(what_claims_too_much_is_refused),
        cmocka_unit_test(what_cannot_be_put_is_the_writers_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
