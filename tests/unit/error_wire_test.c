/* SPDX-License-Identifier: BSD-3-Clause */
/* error_wire_test.c - an error arrives as it left, and nothing else than an error does any harm */
#include "error_wire.h"

#include "bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

static struct ferry_error example(void)
{
    struct ferry_error err;

    ferry_error_set_code(&err, FERRY_E_DEVICE_REFUSED, -EPERM, "device '%s' 0: version 7", "serial");
    ferry_error_object(&err, "serial");
    ferry_error_offset(&err, UINT64_C(0x123456789a));
    ferry_error_where(&err, FERRY_SIDE_DESTINATION, "device");
    ferry_error_hint(&err, "use Z\303\274rich");
    return err;
}

/* What cannot be read beyond, so that a sanitizer sees it. */
static int decode_exactly(const uint8_t *from, size_t bytes, struct ferry_error *out)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    int ret;

    assert_non_null(copy);
    memcpy(copy, from, bytes);
    ret = error_decode(copy, bytes, out);
    free(copy);
    return ret;
}

static void assert_text(const char *text, size_t room)
{
    size_t bytes = strnlen(text, room);

    assert_true(bytes < room);
    for (size_t i = 0; i < bytes; i++)
        assert_true((uint8_t)text[i] >= 0x20 && text[i] != 0x7f);
}

static void assert_sound(const struct ferry_error *err)
{
    assert_true(err->errnum < 0 && err->code != FERRY_E_NONE && err->from_peer && err->offset >= -1);
    assert_true(err->side <= FERRY_SIDE_DESTINATION);
    assert_true(err->text[0]);
    assert_text(err->phase, sizeof(err->phase));
    assert_text(err->object, sizeof(err->object));
    assert_text(err->text, sizeof(err->text));
    assert_text(err->hint, sizeof(err->hint));
}

static void all_of_it_arrives(void **state)
{
    struct ferry_error err = example(), out;
    uint8_t wire[ERROR_WIRE_MAX];

    assert_int_equal(decode_exactly(wire, error_encode(&err, wire, sizeof(wire)), &out), 0);
    assert_int_equal(out.code, FERRY_E_DEVICE_REFUSED);
    assert_int_equal(out.errnum, ferry_code_info(FERRY_E_DEVICE_REFUSED)->errnum);
    assert_int_equal(out.side, FERRY_SIDE_DESTINATION);
    assert_true(out.from_peer);
    assert_true(out.offset == INT64_C(0x123456789a));
    assert_string_equal(out.phase, err.phase);
    assert_string_equal(out.object, err.object);
    assert_string_equal(out.text, err.text);
    assert_string_equal(out.hint, err.hint);
}

/* Where the guest is, is for each end to know. */
static void no_code_is_a_verdict(void **state)
{
    uint8_t wire[ERROR_WIRE_MAX];

    for (int code = 1; code <= UINT16_MAX; code++) {
        struct ferry_error err = { .code = (enum ferry_code)code, .errnum = -EIO, .offset = -1, .text = "so it is" },
                           out;

        assert_int_equal(decode_exactly(wire, error_encode(&err, wire, sizeof(wire)), &out), 0);
        assert_true(out.errnum < 0 && out.errnum != -EOWNERDEAD && out.errnum != -ENOTRECOVERABLE);
        assert_int_equal(out.code, code);
    }
}

static void the_bytes_are_these(void **state)
{
    static const uint8_t want[] = { 0,   1, 0, 2, 1, 0x36, 0, 2, 0, 1, 1, 0, 3, 0, 5, 's', 'e', 't', 'u',
                                    'p', 0, 5, 0, 8, 0,    0, 0, 0, 0, 0, 1, 2, 0, 6, 0,   2,   'n', 'o' };
    uint8_t wire[ERROR_WIRE_MAX];
    struct ferry_error err;

    ferry_error_set_code(&err, FERRY_E_REFUSED, -EINVAL, "no");
    ferry_error_where(&err, FERRY_SIDE_SOURCE, "setup");
    ferry_error_offset(&err, 0x102);
    assert_int_equal(error_encode(&err, wire, sizeof(wire)), sizeof(want));
    assert_memory_equal(wire, want, sizeof(want));
}

static void the_largest_fits(void **state)
{
    uint8_t wire[ERROR_WIRE_MAX];
    struct ferry_error err = example(), out;

    memset(err.phase, 'p', sizeof(err.phase) - 1);
    memset(err.object, 'o', sizeof(err.object) - 1);
    memset(err.text, 't', sizeof(err.text) - 1);
    memset(err.hint, 'h', sizeof(err.hint) - 1);
    assert_int_equal(decode_exactly(wire, error_encode(&err, wire, sizeof(wire)), &out), 0);
    assert_string_equal(out.hint, err.hint);
    assert_string_equal(out.text, err.text);
    assert_string_equal(out.object, err.object);
    assert_string_equal(out.phase, err.phase);
}

static void with_little_room_the_code_is_left(void **state)
{
    struct ferry_error err = example(), out;

    for (size_t room = 0; room < 200; room++) {
        uint8_t *wire = malloc(room ? room : 1);
        size_t bytes;

        assert_non_null(wire);
        bytes = error_encode(&err, wire, room);
        assert_true(bytes <= room);
        if (room >= 6) {
            assert_int_equal(decode_exactly(wire, bytes, &out), 0);
            assert_int_equal(out.code, FERRY_E_DEVICE_REFUSED);
            assert_sound(&out);
        }
        free(wire);
    }
}

static void an_error_without_code_is_internal(void **state)
{
    struct ferry_error err = { .errnum = -EIO, .offset = -1 }, out;
    uint8_t wire[ERROR_WIRE_MAX];

    assert_int_equal(decode_exactly(wire, error_encode(&err, wire, sizeof(wire)), &out), 0);
    assert_int_equal(out.code, FERRY_E_INTERNAL);
    assert_string_equal(out.text, ferry_code_info(FERRY_E_INTERNAL)->summary);
    assert_true(out.offset == -1);
}

static void every_truncation_is_refused_or_sound(void **state)
{
    struct ferry_error err = example(), out;
    uint8_t wire[ERROR_WIRE_MAX];
    size_t bytes = error_encode(&err, wire, sizeof(wire));
    unsigned good = 0;

    for (size_t cut = 0; cut < bytes; cut++) {
        memset(&out, 0x55, sizeof(out));
        if (decode_exactly(wire, cut, &out) == 0) {
            assert_sound(&out);
            good++;
        } else {
            assert_int_equal(out.errnum, 0x55555555); /* untouched */
        }
    }
    assert_int_equal(good, 6); /* between the parts, from the code on */
}

static void every_flipped_bit_is_refused_or_sound(void **state)
{
    struct ferry_error err = example(), out;
    uint8_t wire[ERROR_WIRE_MAX];
    size_t bytes = error_encode(&err, wire, sizeof(wire));

    for (size_t bit = 0; bit < bytes * 8; bit++) {
        wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (decode_exactly(wire, bytes, &out) == 0)
            assert_sound(&out);
        wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A cheap generator with a fixed start: the same noise every time. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void noise_is_refused_or_sound(void **state)
{
    uint32_t seed = 1;
    unsigned good = 0;

    for (int round = 0; round < 200000; round++) {
        uint8_t wire[64] = { 0, 1, 0, 2, 1, 0x36 };
        size_t bytes = 6 + next_random(&seed) % (sizeof(wire) - 6);
        struct ferry_error out;

        for (size_t at = 6; at < bytes; at++)
            wire[at] = (uint8_t)(next_random(&seed) & (at % 4 ? 0xff : 7) & (at % 2 ? 15 : 0xff));
        if (decode_exactly(wire, bytes, &out) == 0) {
            assert_sound(&out);
            good++;
        }
    }
    assert_true(good > 100);
}

static size_t part(uint8_t *to, uint16_t type, uint16_t length, const void *value, size_t bytes)
{
    store_be16(to, type);
    store_be16(to + 2, length);
    memcpy(to + 4, value, bytes);
    return 4 + bytes;
}

static void refused(const uint8_t *wire, size_t bytes)
{
    struct ferry_error out;

    assert_int_equal(decode_exactly(wire, bytes, &out), -EPROTO);
}

static void what_is_no_error_is_refused(void **state)
{
    uint8_t wire[64];
    size_t code = part(wire, 1, 2, "\1\66", 2);

    refused(wire, 0);
    refused(wire, code + part(wire + code, 0, 0, "", 0));         /* type 0 */
    refused(wire, code + part(wire + code, 1, 2, "\1\66", 2));    /* twice */
    refused(wire, code + part(wire + code, 2, 2, "\1\1", 2));     /* a side of two bytes */
    refused(wire, code + part(wire + code, 2, 0, "", 0));         /* of none */
    refused(wire, code + part(wire + code, 5, 4, "\0\0\0\1", 4)); /* a short offset */
    refused(wire, code + part(wire + code, 6, 0xffff, "x", 1));   /* a length beyond the end */
    refused(wire, part(wire, 1, 2, "\0\0", 2));                   /* no code is code 0 */
    refused(wire, part(wire, 1, 1, "\1", 1));                     /* a short one */
    refused(wire, part(wire, 6, 4, "text", 4));                   /* text alone */
}

static void what_a_newer_peer_says_is_heard(void **state)
{
    uint8_t wire[64];
    struct ferry_error out;
    size_t bytes = part(wire, 1, 2, "\3\350", 2); /* code 1000 */

    bytes += part(wire + bytes, 0x1234, 3, "new", 3);
    bytes += part(wire + bytes, 0x1234, 3, "new", 3);
    bytes += part(wire + bytes, 2, 1, "\11", 1);
    bytes += part(wire + bytes, 5, 8, "\377\377\377\377\377\377\377\377", 8);
    bytes += part(wire + bytes, 6, 3, "sad", 3);
    assert_int_equal(decode_exactly(wire, bytes, &out), 0);
    assert_sound(&out);
    assert_int_equal(out.code, 1000);
    assert_string_equal(ferry_code_name(out.code), "unknown");
    assert_int_equal(out.side, FERRY_SIDE_UNKNOWN);
    assert_true(out.offset == -1);
    assert_string_equal(out.text, "sad");
}

static void a_peers_text_does_not_reach_the_terminal(void **state)
{
    uint8_t wire[64];
    struct ferry_error out;
    size_t bytes = part(wire, 1, 2, "\1\66", 2);

    bytes += part(wire + bytes, 6, 6, "\033[2J\r\n", 6);
    bytes += part(wire + bytes, 3, 4, "a\0bc", 4);
    assert_int_equal(decode_exactly(wire, bytes, &out), 0);
    assert_string_equal(out.text, "?[2J? ");
    assert_string_equal(out.phase, "a");
}

static void a_text_too_long_is_cut(void **state)
{
    static uint8_t wire[65536];
    struct ferry_error out;
    size_t bytes = part(wire, 1, 2, "\1\66", 2);

    memset(wire + bytes + 4, 'x', 60000);
    store_be16(wire + bytes, 6);
    store_be16(wire + bytes + 2, 60000);
    assert_int_equal(decode_exactly(wire, bytes + 4 + 60000, &out), 0);
    assert_int_equal(strlen(out.text), FERRY_ERROR_TEXT_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_arrives),
        cmocka_unit_test(no_code_is_a_verdict),
        cmocka_unit_test(the_bytes_are_these),
        cmocka_unit_test(the_largest_fits),
        cmocka_unit_test(with_little_room_the_code_is_left),
        cmocka_unit_test(an_error_without_code_is_internal),
        cmocka_unit_test(every_truncation_is_refused_or_sound),
        cmocka_unit_test(every_flipped_bit_is_refused_or_sound),
        cmocka_unit_test(noise_is_refused_or_sound),
        cmocka_unit_test(what_is_no_error_is_refused),
        cmocka_unit_test(what_a_newer_peer_says_is_heard),
        cmocka_unit_test(a_peers_text_does_not_reach_the_terminal),
        cmocka_unit_test(a_text_too_long_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
