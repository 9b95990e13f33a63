/* SPDX-License-Identifier: BSD-3-Clause */
/* hello_test.c - the first bytes of a connection are these bytes, and whatever else comes is refused */
#include "bytes.h"
#include "hello.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct hello hello = {
    .lowest = 1,
    .highest = 3,
    .session = "0123456789abcde",
    .nonce = "edcba9876543210",
    .role = HELLO_PAGES,
    .index = 7,
    .connections = 9,
    .protocol = 0x38,
    .device = UINT64_C(1) << 63 | 2,
};

static const uint8_t golden_hello[] = "FRHY\0\1\0\3\0\0\0\x34"
                                      "0123456789abcde\0"
                                      "edcba9876543210\0"
                                      "\2\7\0\x09"
                                      "\0\0\0\0\0\0\0\x38"
                                      "\x80\0\0\0\0\0\0\2";

static const struct hello_answer answer = {
    .version = 1,
    .nonce = "fedcba987654321",
    .protocol = 0x18,
    .device = 2,
};

static const uint8_t golden_answer[] = "FRHA\0\1\0\0\0\0\0\x20"
                                       "fedcba987654321\0"
                                       "\0\0\0\0\0\0\0\x18"
                                       "\0\0\0\0\0\0\0\2";

static const uint8_t golden_refusal[] = "FRHA\0\0\0\5\0\0\0\x0d"
                                        "\0\5twice"
                                        "\0\4once";

/* Exactly as large as the message, so that the sanitizers see every byte read past it. */
static uint8_t *copy_of(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);

    assert_non_null(copy);
    memcpy(copy, data, bytes);
    return copy;
}

static int decode(const uint8_t *data, size_t bytes, struct hello *got, struct ferry_error *err)
{
    uint8_t *copy = copy_of(data, bytes);
    int ret = hello_decode(copy, bytes, got, err);

    free(copy);
    return ret;
}

static int decode_answer(const uint8_t *data, size_t bytes, struct hello_answer *got, struct hello_refusal *refusal,
                         struct ferry_error *err)
{
    uint8_t *copy = copy_of(data, bytes);
    int ret = hello_decode_answer(copy, bytes, got, refusal, err);

    free(copy);
    return ret;
}

static void assert_same_hello(const struct hello *a, const struct hello *b)
{
    assert_int_equal(a->lowest, b->lowest);
    assert_int_equal(a->highest, b->highest);
    assert_memory_equal(a->session, b->session, HELLO_ID_BYTES);
    assert_memory_equal(a->nonce, b->nonce, HELLO_ID_BYTES);
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->connections, b->connections);
    assert_int_equal(a->protocol, b->protocol);
    assert_int_equal(a->device, b->device);
}

static void a_hello_is_these_bytes(void **state)
{
    uint8_t out[HELLO_BYTES];
    struct hello got;
    struct ferry_error err = { 0 };

    assert_int_equal(sizeof(golden_hello) - 1, HELLO_BYTES);
    assert_int_equal(hello_encode(&hello, out), HELLO_BYTES);
    assert_memory_equal(out, golden_hello, HELLO_BYTES);
    assert_int_equal(decode(out, HELLO_BYTES, &got, &err), 0);
    assert_same_hello(&got, &hello);
}

static void an_answer_is_these_bytes(void **state)
{
    struct hello_refusal refusal = { .code = HELLO_DUPLICATE, .why = { .text = "twice", .hint = "once" } };
    uint8_t out[ANSWER_MAX_BYTES];
    struct hello_answer got;
    struct ferry_error err = { 0 };

    assert_int_equal(sizeof(golden_answer) - 1, ANSWER_BYTES);
    assert_int_equal(hello_encode_answer(&answer, out), ANSWER_BYTES);
    assert_memory_equal(out, golden_answer, ANSWER_BYTES);
    assert_int_equal(hello_encode_refusal(&refusal, out), sizeof(golden_refusal) - 1);
    assert_memory_equal(out, golden_refusal, sizeof(golden_refusal) - 1);

    assert_int_equal(decode_answer(golden_answer, ANSWER_BYTES, &got, &refusal, &err), 0);
    assert_int_equal(refusal.code, HELLO_AGREED);
    assert_int_equal(got.version, 1);
    assert_memory_equal(got.nonce, answer.nonce, HELLO_ID_BYTES);
    assert_int_equal(got.protocol, 0x18);
    assert_int_equal(got.device, 2);

    memset(&refusal, 0, sizeof(refusal));
    assert_int_equal(decode_answer(golden_refusal, sizeof(golden_refusal) - 1, &got, &refusal, &err), 0);
    assert_int_equal(refusal.code, HELLO_DUPLICATE);
    assert_string_equal(refusal.why.text, "twice");
    assert_string_equal(refusal.why.hint, "once");
}

static void every_truncation_is_refused(void **state)
{
    struct hello got;
    struct hello_answer got_answer;
    struct hello_refusal refusal;
    struct ferry_error err;

    for (size_t bytes = 0; bytes < HELLO_BYTES; bytes++) {
        uint8_t cut[HELLO_BYTES];

        memcpy(cut, golden_hello, sizeof(cut));
        assert_int_equal(decode(cut, bytes, &got, &err), -EPROTO);
        if (bytes < HELLO_HEAD_BYTES)
            continue;
        store_be32(cut + 8, (uint32_t)bytes - HELLO_HEAD_BYTES);
        assert_int_equal(decode(cut, bytes, &got, &err), -EPROTO);
    }
    for (size_t bytes = 0; bytes < ANSWER_BYTES; bytes++) {
        uint8_t cut[ANSWER_BYTES];

        memcpy(cut, golden_answer, sizeof(cut));
        assert_int_equal(decode_answer(cut, bytes, &got_answer, &refusal, &err), -EPROTO);
        if (bytes < HELLO_HEAD_BYTES)
            continue;
        store_be32(cut + 8, (uint32_t)bytes - HELLO_HEAD_BYTES);
        assert_int_equal(decode_answer(cut, bytes, &got_answer, &refusal, &err), -EPROTO);
    }
    for (size_t bytes = HELLO_HEAD_BYTES; bytes < sizeof(golden_refusal) - 1; bytes++) {
        uint8_t cut[sizeof(golden_refusal)];

        memcpy(cut, golden_refusal, sizeof(cut));
        store_be32(cut + 8, (uint32_t)bytes - HELLO_HEAD_BYTES);
        assert_int_equal(decode_answer(cut, bytes, &got_answer, &refusal, &err), -EPROTO);
    }
}

/* A flip in magic, versions or length is noticed or changes a version; any other changes the field and nothing else. */
static void every_flip_is_noticed_or_only_a_value(void **state)
{
    for (unsigned bit = 0; bit < HELLO_BYTES * 8; bit++) {
        uint8_t flipped[HELLO_BYTES], again[HELLO_BYTES];
        struct hello got = { 0 };
        struct ferry_error err = { 0 };
        int ret;

        memcpy(flipped, golden_hello, sizeof(flipped));
        flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ret = decode(flipped, sizeof(flipped), &got, &err);
        if (bit / 8 < 4 || (bit / 8 >= 8 && bit / 8 < HELLO_HEAD_BYTES)) {
            assert_int_equal(ret, -EPROTO);
            assert_true(err.text[0]);
        }
        if (ret == 0) {
            hello_encode(&got, again);
            assert_memory_equal(again, flipped, sizeof(again));
        }
    }
    for (unsigned bit = 0; bit < (sizeof(golden_refusal) - 1) * 8; bit++) {
        uint8_t flipped[sizeof(golden_refusal) - 1];
        struct hello_refusal refusal = { 0 };
        struct hello_answer got;
        struct ferry_error err = { 0 };

        memcpy(flipped, golden_refusal, sizeof(flipped));
        flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (decode_answer(flipped, sizeof(flipped), &got, &refusal, &err) == 0)
            assert_true(strlen(refusal.why.text) == 5 && strlen(refusal.why.hint) == 4);
        else
            assert_true(err.text[0]);
    }
}

/* A hello with @option_bytes of options behind it. */
static int decode_with(const uint8_t *options, size_t option_bytes, struct ferry_error *err)
{
    uint8_t *data = malloc(HELLO_BYTES + option_bytes);
    struct hello got;
    int ret;

    assert_non_null(data);
    memcpy(data, golden_hello, HELLO_BYTES);
    memcpy(data + HELLO_BYTES, options, option_bytes);
    store_be32(data + 8, (uint32_t)(HELLO_BYTES - HELLO_HEAD_BYTES + option_bytes));
    ret = hello_decode(data, HELLO_BYTES + option_bytes, &got, err);
    if (ret == 0)
        assert_same_hello(&got, &hello);
    free(data);
    return ret;
}

static void options_of_a_later_release_are_passed_over(void **state)
{
    static const uint8_t good[] = "\0\1\0\0\xff\xff\0\3abc", zero[] = "\0\1\0\0\0\0\0\0", huge[HELLO_MAX_BYTES] = { 0 };
    struct ferry_error err = { 0 };

    assert_int_equal(decode_with(good, sizeof(good) - 1, &err), 0);
    for (size_t bytes = 1; bytes < sizeof(good) - 1; bytes++)
        assert_int_equal(decode_with(good, bytes, &err), bytes == 4 ? 0 : -EPROTO);
    assert_int_equal(decode_with(zero, sizeof(zero) - 1, &err), -EPROTO);
    assert_string_equal(err.text, "hello: an option of type 0");
    assert_int_equal(decode_with(huge, HELLO_MAX_BYTES - HELLO_BYTES + 1, &err), -EPROTO);
    assert_non_null(strstr(err.text, "too many"));
}

static void versions_must_meet(void **state)
{
    static const struct {
        uint16_t lowest, highest, chosen;
    } cases[] = { { 1, 1, 1 }, { 1, 9, 1 }, { 2, 9, 0 } };
    static const struct {
        uint16_t lowest, highest;
    } nonsense[] = { { 0, 1 }, { 2, 1 }, { 0, 0 } };

    for (size_t i = 0; i < 3; i++) {
        struct hello one = hello;
        struct hello_refusal refusal = { 0 };

        one.lowest = cases[i].lowest;
        one.highest = cases[i].highest;
        assert_int_equal(hello_choose_version(&one, &refusal), cases[i].chosen);
        assert_int_equal(refusal.code, cases[i].chosen ? HELLO_AGREED : HELLO_NO_VERSION);
    }
    for (size_t i = 0; i < 3; i++) {
        struct hello one = hello, got;
        uint8_t out[HELLO_BYTES];

        one.lowest = nonsense[i].lowest;
        one.highest = nonsense[i].highest;
        hello_encode(&one, out);
        assert_int_equal(decode(out, HELLO_BYTES, &got, NULL), -EPROTO);
    }
}

static void the_longest_refusal_fits_and_is_made_harmless(void **state)
{
    struct hello_refusal refusal = { .code = 77 }, got = { 0 };
    uint8_t out[ANSWER_MAX_BYTES];
    struct hello_answer none;
    struct ferry_error err = { 0 };
    size_t bytes;

    memset(refusal.why.text, 'x', sizeof(refusal.why.text) - 1);
    memset(refusal.why.hint, 'y', sizeof(refusal.why.hint) - 1);
    memcpy(refusal.why.text, "\033[2J\n\x9b%s", 8);
    bytes = hello_encode_refusal(&refusal, out);
    assert_int_equal(decode_answer(out, bytes, &none, &got, &err), 0);
    assert_int_equal(got.code, 77);
    assert_int_equal(strlen(got.why.text), sizeof(refusal.why.text) - 1);
    assert_memory_equal(got.why.text, "?[2J ?%s", 8);

    /* Longer than ours ever are: a text as long as the bound, but not one byte more. */
    memset(out, 'z', sizeof(out));
    memcpy(out, "FRHA\0\0\0\1", 8);
    store_be32(out + 8, HELLO_TEXT_BYTES + 4);
    store_be16(out + 12, HELLO_TEXT_BYTES);
    store_be16(out + 14 + HELLO_TEXT_BYTES, 0);
    assert_int_equal(decode_answer(out, HELLO_HEAD_BYTES + HELLO_TEXT_BYTES + 4, &none, &got, &err), 0);
    store_be32(out + 8, HELLO_TEXT_BYTES + 5);
    store_be16(out + 12, HELLO_TEXT_BYTES + 1);
    store_be16(out + 15 + HELLO_TEXT_BYTES, 0);
    assert_int_equal(decode_answer(out, HELLO_HEAD_BYTES + HELLO_TEXT_BYTES + 5, &none, &got, &err), -EPROTO);
}

static void four_bytes_tell_what_it_is(void **state)
{
    struct ferry_error err = { 0 };

    assert_int_equal(hello_detect((const uint8_t *)"FRHY"), HELLO_KIND_FERRY);
    assert_int_equal(hello_detect((const uint8_t *)"QEVM"), HELLO_KIND_QEMU);
    assert_int_equal(hello_detect((const uint8_t *)"\x11\x22\x33\x44"), HELLO_KIND_QEMU_PAGES);
    assert_int_equal(hello_detect((const uint8_t *)"FRHA"), HELLO_KIND_UNKNOWN);
    assert_int_equal(hello_detect((const uint8_t *)"GET "), HELLO_KIND_UNKNOWN);
    assert_int_equal(hello_unknown("tcp:x", (const uint8_t *)"GET ", &err), -EPROTO);
    assert_string_equal(err.text, "tcp:x: not a migration stream: begins with 47 45 54 20");
    assert_int_equal(hello_unknown("tcp:x", (const uint8_t *)"\x11\x22\x33\x44", &err), -EPROTO);
    assert_non_null(strstr(err.text, "multifd"));
}

static void random_ids_differ(void **state)
{
    uint8_t a[HELLO_ID_BYTES] = { 0 }, b[HELLO_ID_BYTES] = { 0 };

    assert_int_equal(hello_random(a, NULL), 0);
    assert_int_equal(hello_random(b, NULL), 0);
    assert_memory_not_equal(a, b, HELLO_ID_BYTES);
}

/* What the source makes of @bytes that come as an answer, and how much it leaves in the channel. */
static int answered_with(const void *data, size_t bytes, struct hello_answer *got, size_t *left,
                         struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    uint8_t first[HELLO_PEEK_BYTES];
    char rest[64];
    ssize_t have;
    int ret;

    assert_non_null(chan);
    ret = hello_receive_answer(chan, &hello, first, got, err);
    if (bytes >= sizeof(first))
        assert_memory_equal(first, data, sizeof(first));
    have = ferry_channel_readv(chan, &(struct iovec){ rest, sizeof(rest) }, 1, NULL);
    *left = have < 0 ? 0 : (size_t)have;
    ferry_channel_unref(chan);
    return ret;
}

static void the_exchange_reads_to_the_byte(void **state)
{
    struct ferry_channel *pair[2];
    struct hello_answer got_answer = { 0 };
    struct hello got;
    uint8_t first[HELLO_PEEK_BYTES];
    char more[4];

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    assert_int_equal(hello_send(pair[0], &hello, NULL), 0);
    assert_int_equal(ferry_channel_writev(pair[0], &(struct iovec){ (char[]){ "more" }, 4 }, 1, NULL), 4);
    assert_int_equal(ferry_channel_read_all(pair[1], first, sizeof(first), NULL), 0);
    assert_int_equal(hello_detect(first), HELLO_KIND_FERRY);
    assert_int_equal(hello_receive(pair[1], first, &got, NULL), 0);
    assert_same_hello(&got, &hello);
    assert_int_equal(ferry_channel_read_all(pair[1], more, 4, NULL), 0);
    assert_memory_equal(more, "more", 4);
    assert_int_equal(hello_agree(pair[1], &answer, NULL), 0);
    assert_int_equal(ferry_channel_writev(pair[1], &(struct iovec){ (char[]){ "mehr" }, 4 }, 1, NULL), 4);
    assert_int_equal(hello_receive_answer(pair[0], &hello, first, &got_answer, NULL), 0);
    assert_int_equal(got_answer.protocol, answer.protocol);
    assert_int_equal(ferry_channel_read_all(pair[0], more, 4, NULL), 0);
    assert_memory_equal(more, "mehr", 4);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

static void a_source_says_what_is_wrong_with_an_answer(void **state)
{
    struct hello_answer got = { 0 };
    struct ferry_error err = { 0 };
    uint8_t wrong[ANSWER_BYTES];
    size_t left;

    assert_int_equal(answered_with(golden_refusal, sizeof(golden_refusal) - 1, &got, &left, &err), -EPERM);
    assert_non_null(strstr(err.text, "the destination refuses: twice"));
    assert_string_equal(err.hint, "once");
    assert_int_equal(answered_with("", 0, &got, &left, &err), -EPROTO);
    assert_non_null(strstr(err.text, "hung up instead of answering"));
    assert_non_null(strstr(err.hint, "--peer qemu"));
    assert_int_equal(answered_with("HTTP/1.1 400 Bad Request", 24, &got, &left, &err), -EPROTO);
    assert_non_null(strstr(err.text, "not an answer to a hello: begins with 48 54 54 50"));
    assert_int_equal(left, 20);
    assert_int_equal(answered_with("FRHA\0\1\0\0\xff\xff\xff\xff", 12, &got, &left, &err), -EPROTO);
    assert_int_equal(answered_with(golden_answer, ANSWER_BYTES - 1, &got, &left, &err), -EPIPE);

    memcpy(wrong, golden_answer, sizeof(wrong));
    wrong[5] = 4; /* version */
    assert_int_equal(answered_with(wrong, sizeof(wrong), &got, &left, &err), -EPROTO);
    memcpy(wrong, golden_answer, sizeof(wrong));
    wrong[HELLO_HEAD_BYTES + 16] = 1; /* a protocol bit */
    assert_int_equal(answered_with(wrong, sizeof(wrong), &got, &left, &err), -EPROTO);
    assert_non_null(strstr(err.text, "not offered"));
    memcpy(wrong, golden_answer, sizeof(wrong));
    wrong[ANSWER_BYTES - 1] = 4; /* a device bit */
    assert_int_equal(answered_with(wrong, sizeof(wrong), &got, &left, &err), -EPROTO);
    assert_int_equal(got.version, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_is_these_bytes),
        cmocka_unit_test(an_answer_is_these_bytes),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flip_is_noticed_or_only_a_value),
        cmocka_unit_test(options_of_a_later_release_are_passed_over),
        cmocka_unit_test(versions_must_meet),
        cmocka_unit_test(the_longest_refusal_fits_and_is_made_harmless),
        cmocka_unit_test(four_bytes_tell_what_it_is),
        cmocka_unit_test(random_ids_differ),
        cmocka_unit_test(the_exchange_reads_to_the_byte),
        cmocka_unit_test(a_source_says_what_is_wrong_with_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
