/* SPDX-License-Identifier: BSD-3-Clause */
/* return_path_test.c - messages come whole whoever sends, and each is held to its bounds */
#include "return_path.h"

#include "bytes.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES 4000

struct sender {
    struct return_path *path;
    enum return_path_type type;
};

/* Both at full rate, as the load thread and the fault thread do. */
static void *send_counters(void *opaque)
{
    struct sender *sender = opaque;

    for (uint64_t i = 0; i < MESSAGES; i++)
        if (return_path_counter(sender->path, sender->type, i, NULL) < 0)
            return NULL;
    return sender;
}

static void two_senders_never_interleave(void **state)
{
    struct return_path_message *message = malloc(sizeof(*message));
    struct ferry_channel *pair[2];
    struct ferry_reader *here, *there;
    struct sender senders[2];
    pthread_t threads[2];
    uint64_t next[2] = { 0, 0 };
    void *sent;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    here = ferry_reader_new(pair[0], NULL);
    there = ferry_reader_new(pair[1], NULL);
    senders[0] = (struct sender){ return_path_open(there, NULL), RETURN_PATH_WATERMARK };
    senders[1] = (struct sender){ senders[0].path, RETURN_PATH_HEARTBEAT };
    assert_non_null(senders[0].path);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_counters, &senders[i]), 0);
    for (int i = 0; i < 2 * MESSAGES; i++) {
        assert_int_equal(return_path_get(here, message), 0);
        assert_true(message->type == RETURN_PATH_WATERMARK || message->type == RETURN_PATH_HEARTBEAT);
        assert_int_equal(message->counter, next[message->type == RETURN_PATH_HEARTBEAT]++);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &sent);
        assert_non_null(sent);
    }
    return_path_free(senders[0].path);
    ferry_reader_free(here);
    ferry_reader_free(there);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    free(message);
}

static int get(const void *data, size_t bytes, struct return_path_message *message, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct ferry_reader *reader = ferry_reader_new(chan, NULL);
    int ret = return_path_get(reader, message);

    ferry_reader_status(reader, err);
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    return ret;
}

/* What a real destination sent: SWITCHOVER_ACK, PONG 1; then requests as postcopy has them. */
static void messages_are_what_qemu_sends(void **state)
{
    static const uint8_t pong[] = { 0, 2, 0, 4, 0, 0, 0, 1 };
    static const uint8_t ack[] = { 0, 7, 0, 0 };
    static const uint8_t request[] = { 0, 3, 0,    19, 0, 0,   0,   0,   0,   0,   0x50, 0,
                                       0, 0, 0x10, 0,  6, 'p', 'c', '.', 'r', 'a', 'm' };
    struct return_path_message *message = malloc(sizeof(*message));

    assert_int_equal(get(pong, sizeof(pong), message, NULL), 0);
    assert_int_equal(message->value, 1);
    assert_int_equal(get(ack, sizeof(ack), message, NULL), 0);
    assert_int_equal(message->type, RETURN_PATH_SWITCHOVER_ACK);
    assert_int_equal(get(request, sizeof(request), message, NULL), 0);
    assert_int_equal(message->counter, 0x5000);
    assert_int_equal(message->length, 0x1000);
    assert_string_equal(message->block, "pc.ram");
    free(message);
}

static void a_request_names_its_block_or_the_last_one(void **state)
{
    struct return_path_message *message = malloc(sizeof(*message));
    struct ferry_channel *pair[2];
    struct ferry_reader *here, *there;
    struct return_path *path;
    char name[257];

    memset(name, 'x', 256);
    name[256] = '\0';
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    here = ferry_reader_new(pair[0], NULL);
    there = ferry_reader_new(pair[1], NULL);
    path = return_path_open(there, NULL);
    assert_int_equal(return_path_request(path, name, 0, 4096, NULL), -EINVAL);
    assert_int_equal(return_path_request(path, "pc.ram", 0x5000, 0x1000, NULL), 0);
    assert_int_equal(return_path_request(path, NULL, UINT64_C(0x1234567000), 0x40000000, NULL), 0);
    assert_int_equal(return_path_request(path, name + 1, 0, 0x1000, NULL), 0);

    assert_int_equal(return_path_get(here, message), 0);
    assert_int_equal(message->type, RETURN_PATH_REQ_PAGES_ID);
    assert_string_equal(message->block, "pc.ram");
    assert_int_equal(message->counter, 0x5000);
    assert_int_equal(message->length, 0x1000);
    assert_int_equal(return_path_get(here, message), 0);
    assert_int_equal(message->type, RETURN_PATH_REQ_PAGES);
    assert_int_equal(message->counter, UINT64_C(0x1234567000));
    assert_int_equal(message->length, 0x40000000);
    assert_int_equal(return_path_get(here, message), 0);
    assert_string_equal(message->block, name + 1);
    return_path_free(path);
    ferry_reader_free(here);
    ferry_reader_free(there);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    free(message);
}

/* 70 pages, of which 0, 63 and 69 have come: 16 bytes, the first page in the lowest bit of the first. */
static const uint8_t bitmap[] = { 0, 5, 0, 7,  6, 'p',  'c',  '.',  'r',  'a',  'm',  0,    0,    0, 0,
                                  0, 0, 0, 16, 1, 0,    0,    0,    0,    0,    0,    0x80, 0x20, 0, 0,
                                  0, 0, 0, 0,  0, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

static int get_bitmap(const uint8_t *data, size_t bytes, uint64_t pages, uint64_t *words, struct ferry_error *err)
{
    struct return_path_message *message = malloc(sizeof(*message));
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct ferry_reader *reader = ferry_reader_new(chan, NULL);
    int ret;

    assert_int_equal(return_path_get(reader, message), 0);
    assert_string_equal(message->block, "pc.ram");
    ret = return_path_get_bitmap(reader, pages, words);
    ferry_reader_status(reader, err);
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    free(message);
    return ret;
}

static void a_bitmap_is_what_qemu_sends(void **state)
{
    uint64_t words[2] = { UINT64_C(1) << 63 | 1, ~UINT64_C(0) << 6 | 1 << 5 }, got[2];
    uint8_t sent[sizeof(bitmap)], other[sizeof(bitmap)];
    struct iovec iov = { sent, sizeof(sent) };
    struct ferry_error err = { 0 };
    struct ferry_channel *pair[2];
    struct ferry_reader *there;
    struct return_path *path;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    there = ferry_reader_new(pair[1], NULL);
    path = return_path_open(there, NULL);
    assert_int_equal(return_path_bitmap(path, "pc.ram", words, 70, NULL), 0);
    assert_int_equal(ferry_channel_read_all(pair[0], iov.iov_base, iov.iov_len, NULL), 0);
    assert_memory_equal(sent, bitmap, sizeof(bitmap));
    return_path_free(path);
    ferry_reader_free(there);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);

    assert_int_equal(get_bitmap(bitmap, sizeof(bitmap), 70, got, NULL), 0);
    assert_true(got[0] == words[0] && got[1] == 1 << 5);
    assert_int_equal(get_bitmap(bitmap, sizeof(bitmap), 64, got, &err), -EPROTO); /* of another block */
    assert_non_null(strstr(err.text, "the block needs 8"));
    assert_int_equal(get_bitmap(bitmap, sizeof(bitmap) - 1, 70, got, &err), -EPIPE);
    memcpy(other, bitmap, sizeof(other));
    other[sizeof(other) - 1] ^= 1;
    assert_int_equal(get_bitmap(other, sizeof(other), 70, got, &err), -EPROTO);
    assert_non_null(strstr(err.text, "ends with"));
}

static void a_destination_declines_with_the_token_alone(void **state)
{
    static const uint8_t token[RETURN_PATH_TOKEN_BYTES] = "0123456789abcdef";
    struct return_path_message *message = malloc(sizeof(*message));
    struct ferry_channel *pair[2];
    struct ferry_reader *here, *there;
    struct return_path *path;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    here = ferry_reader_new(pair[0], NULL);
    there = ferry_reader_new(pair[1], NULL);
    path = return_path_open(there, NULL);
    assert_int_equal(return_path_declined(path, token, NULL), 0);
    assert_int_equal(return_path_get(here, message), 0);
    assert_int_equal(message->type, 0x4608);
    assert_int_equal(message->bytes, 16);
    assert_memory_equal(message->token, token, sizeof(token));
    assert_string_equal(return_path_type_name(message->type), "declined");
    return_path_free(path);
    ferry_reader_free(here);
    ferry_reader_free(there);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    free(message);
}

static void every_length_is_held_to_its_bounds(void **state)
{
    static const struct {
        uint16_t type, bytes;
        const char *expect;
    } rows[] = {
        { 0, 0, "unknown type" },        { 8, 4, "unknown type" },         { 1, 3, "shut with 3" },
        { 2, 5, "pong with 5" },         { 3, 13, "req-pages-id with" },   { 3, 269, "req-pages-id with" },
        { 4, 11, "req-pages with" },     { 5, 1, "recv-bitmap with" },     { 6, 0, "resume-ack with" },
        { 7, 1, "switchover-ack" },      { 0x4601, 60001, "agreed with" }, { 0x4602, 1, "refused with 1" },
        { 0x4603, 23, "ready with" },    { 0x4604, 25, "running with" },   { 0x4607, 0, "error with 0" },
        { 0x4607, 60001, "error with" }, { 0x4608, 15, "declined with" },  { 0x4608, 17, "declined with" },
        { 0x4609, 0, "unknown type" },   { 3, 20, "broken block name" },
    };
    struct return_path_message *message = malloc(sizeof(*message));
    uint8_t *data = calloc(1, 70000);
    struct ferry_error err;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        store_be16(data, rows[i].type);
        store_be16(data + 2, rows[i].bytes);
        err.text[0] = '\0';
        assert_int_equal(get(data, 70000, message, &err), -EPROTO);
        if (!strstr(err.text, rows[i].expect))
            fail_msg("row %zu: '%s' does not say '%s'", i, err.text, rows[i].expect);
    }
    free(data);
    free(message);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_senders_never_interleave),
        cmocka_unit_test(messages_are_what_qemu_sends),
        cmocka_unit_test(a_request_names_its_block_or_the_last_one),
        cmocka_unit_test(a_bitmap_is_what_qemu_sends),
        cmocka_unit_test(a_destination_declines_with_the_token_alone),
        cmocka_unit_test(every_length_is_held_to_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
