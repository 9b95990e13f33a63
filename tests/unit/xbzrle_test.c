/* SPDX-License-Identifier: BSD-3-Clause */
/* xbzrle_test.c - deltas are what the format says, lead back to the page, and wrong ones are refused */
#include "xbzrle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 4096

/* The golden stream's: 0x09 at 0, aa bb cc at 300, 0x07 at the end. */
static void the_delta_is_what_the_format_says(void **state)
{
    static const uint8_t golden[] = { 0x00, 0x01, 0x09, 0xab, 0x02, 0x03, 0xaa, 0xbb, 0xcc, 0xd0, 0x1d, 0x01, 0x07 };
    uint8_t old_page[PAGE], new_page[PAGE], delta[PAGE];

    memset(old_page, 1, PAGE);
    memset(new_page, 1, PAGE);
    new_page[0] = 9;
    memcpy(new_page + 300, "\xaa\xbb\xcc", 3);
    new_page[PAGE - 1] = 7;
    assert_int_equal(xbzrle_encode(old_page, new_page, PAGE, delta, PAGE), sizeof(golden));
    assert_memory_equal(delta, golden, sizeof(golden));
    assert_int_equal(xbzrle_decode(golden, sizeof(golden), old_page, PAGE, NULL), 0);
    assert_memory_equal(old_page, new_page, PAGE);
}

static void equal_pages_have_no_delta_and_different_ones_no_room(void **state)
{
    uint8_t old_page[PAGE] = { 0 }, new_page[PAGE] = { 0 }, delta[PAGE];

    assert_int_equal(xbzrle_encode(old_page, new_page, PAGE, delta, PAGE), 0);
    memset(new_page, 1, PAGE);
    assert_int_equal(xbzrle_encode(old_page, new_page, PAGE, delta, PAGE), -ENOSPC);
}

static void random_changes_come_back(void **state)
{
    uint8_t old_page[PAGE], new_page[PAGE], delta[PAGE];
    unsigned seed = 5;

    for (int i = 0; i < PAGE; i++)
        old_page[i] = (uint8_t)rand_r(&seed);
    for (int round = 0; round < 500; round++) {
        int bytes;

        memcpy(new_page, old_page, PAGE);
        for (int changes = rand_r(&seed) % 200; changes > 0; changes--)
            new_page[rand_r(&seed) % PAGE] = (uint8_t)rand_r(&seed);
        bytes = xbzrle_encode(old_page, new_page, PAGE, delta, PAGE);
        assert_true(bytes >= 0);
        assert_int_equal(xbzrle_decode(delta, (size_t)bytes, old_page, PAGE, NULL), 0);
        assert_memory_equal(old_page, new_page, PAGE);
    }
}

static void wrong_deltas_are_refused(void **state)
{
    static const struct {
        uint8_t delta[6];
        size_t bytes;
    } rows[] = {
        { { 0 }, 1 },                          /* nothing new follows */
        { { 0, 0 }, 2 },                       /* no new bytes */
        { { 0, 1, 5, 0, 1, 5 }, 6 },           /* a second run of nothing that stays */
        { { 0, 3, 5 }, 3 },                    /* fewer new bytes than said */
        { { 0x80 }, 1 },                       /* half a count */
        { { 0x80, 0x80, 1, 1 }, 4 },           /* a count of three bytes */
        { { 0x80 | 1, 0x20, 1, 1 }, 4 },       /* one byte beyond the page */
        { { 0x80 | 0x7f, 0x1f, 2, 1, 1 }, 5 }, /* the second new byte is beyond the page */
        { { 0xff, 0x7f, 1, 1 }, 4 },           /* far beyond the page */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t page[PAGE + 1];

        memset(page, 0x5a, sizeof(page));
        if (xbzrle_decode(rows[i].delta, rows[i].bytes, page, PAGE, NULL) != -EPROTO)
            fail_msg("row %zu was accepted", i);
        assert_int_equal(page[PAGE], 0x5a);
    }
}

/* Byte by byte, as the format is told. */
static int plain_encode(const uint8_t *old_page, const uint8_t *new_page, size_t bytes, uint8_t *delta)
{
    size_t at = 0, out = 0;

    while (at < bytes) {
        size_t begin = at, same;

        while (at < bytes && old_page[at] == new_page[at])
            at++;
        if (at == bytes)
            break;
        same = at - begin;
        begin = at;
        while (at < bytes && old_page[at] != new_page[at])
            at++;
        for (int i = 0; i < 2; i++) {
            size_t count = i == 0 ? same : at - begin;

            if (count >= 0x80) {
                delta[out++] = (uint8_t)(count & 0x7f) | 0x80;
                count >>= 7;
            }
            delta[out++] = (uint8_t)count;
        }
        memcpy(delta + out, new_page + begin, at - begin);
        out += at - begin;
    }
    return (int)out;
}

static void every_border_of_a_run_is_found(void **state)
{
    uint8_t old_page[64], new_page[64], delta[256], plain[256];
    unsigned seed = 6;

    for (int round = 0; round < 100000; round++) {
        size_t bytes = 1 + (size_t)rand_r(&seed) % sizeof(old_page);
        int density = 1 + rand_r(&seed) % 20, expected, got;

        for (size_t i = 0; i < bytes; i++) {
            old_page[i] = (uint8_t)(rand_r(&seed) % 3 ? rand_r(&seed) : 0);
            new_page[i] = rand_r(&seed) % density ? old_page[i] : (uint8_t)(old_page[i] ^ 1 << rand_r(&seed) % 8);
        }
        expected = plain_encode(old_page, new_page, bytes, plain);
        got = xbzrle_encode(old_page, new_page, bytes, delta, sizeof(delta));
        assert_int_equal(got, expected);
        assert_memory_equal(delta, plain, (size_t)got);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_delta_is_what_the_format_says),
        cmocka_unit_test(equal_pages_have_no_delta_and_different_ones_no_room),
        cmocka_unit_test(random_changes_come_back),
        cmocka_unit_test(every_border_of_a_run_is_found),
        cmocka_unit_test(wrong_deltas_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
