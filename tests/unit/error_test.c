/* SPDX-License-Identifier: BSD-3-Clause */
/* error_test.c - an error says what, where and what to do, and never speaks to the terminal */
#include "printable.h"

#include <errno.h>
#include <ferry/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void the_code_is_that_of_the_errno(void **state)
{
    struct ferry_error err;

    assert_int_equal(ferry_error_set(&err, -ECONNREFUSED, "tcp:%s: connection refused", "h:1"), -ECONNREFUSED);
    assert_int_equal(err.errnum, -ECONNREFUSED);
    assert_int_equal(err.code, FERRY_E_CONNECTION_REFUSED);
    assert_string_equal(err.text, "tcp:h:1: connection refused");
    assert_int_equal(err.offset, -1);
    assert_int_equal(err.side, FERRY_SIDE_UNKNOWN);
    assert_true(!err.from_peer && !err.phase[0] && !err.object[0] && !err.hint[0]);
}

static void a_code_of_its_own_says_more(void **state)
{
    struct ferry_error err;

    assert_int_equal(ferry_error_set_code(&err, FERRY_E_BLOCK_LENGTH, -EINVAL, "block '%s'", "ram"), -EINVAL);
    assert_int_equal(err.code, FERRY_E_BLOCK_LENGTH);
    assert_string_equal(err.text, "block 'ram'");
    assert_int_equal(ferry_error_code(&err, FERRY_E_PAGE_SIZE), -EINVAL);
    assert_int_equal(err.code, FERRY_E_PAGE_SIZE);
}

static void nobody_needs_to_listen(void **state)
{
    assert_int_equal(ferry_error_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(ferry_error_set_code(NULL, FERRY_E_JOURNAL, -EROFS, "x"), -EROFS);
    ferry_error_object(NULL, "x");
    ferry_error_offset(NULL, 1);
    ferry_error_where(NULL, FERRY_SIDE_SOURCE, "active");
    ferry_error_hint(NULL, "x");
    assert_int_equal(ferry_error_prefix(NULL, "x"), 0);
    /* A failure stays one. */
    assert_int_equal(ferry_error_code(NULL, FERRY_E_CANCELLED), -ECANCELED);
    assert_true(ferry_error_code(NULL, (enum ferry_code)65535) < 0);
    assert_string_equal(ferry_error_text(NULL), "no error");
    assert_string_equal(ferry_error_advice(NULL), "");
}

static void what_was_there_before_is_gone(void **state)
{
    struct ferry_error err;

    ferry_error_set(&err, -EIO, "first");
    ferry_error_object(&err, "ram");
    ferry_error_offset(&err, 4711);
    ferry_error_where(&err, FERRY_SIDE_SOURCE, "active");
    ferry_error_hint(&err, "hint");
    err.from_peer = true;
    ferry_error_set(&err, -ENOMEM, "second");
    assert_int_equal(err.code, FERRY_E_OUT_OF_MEMORY);
    assert_int_equal(err.offset, -1);
    assert_int_equal(err.side, FERRY_SIDE_UNKNOWN);
    assert_true(!err.from_peer && !err.phase[0] && !err.object[0] && !err.hint[0]);
}

static void where_it_was_first_stays(void **state)
{
    struct ferry_error err;

    ferry_error_set(&err, -EIO, "x");
    ferry_error_where(&err, FERRY_SIDE_UNKNOWN, "connect");
    ferry_error_where(&err, FERRY_SIDE_DESTINATION, NULL);
    ferry_error_where(&err, FERRY_SIDE_SOURCE, "active");
    assert_int_equal(err.side, FERRY_SIDE_DESTINATION);
    assert_string_equal(err.phase, "connect");
    assert_string_equal(ferry_side_name(err.side), "destination");
    assert_string_equal(ferry_side_name(FERRY_SIDE_SOURCE), "source");
    assert_string_equal(ferry_side_name((enum ferry_side)7), "unknown");
}

static void an_offset_out_of_reach_is_unknown(void **state)
{
    struct ferry_error err;

    ferry_error_set(&err, -EIO, "x");
    ferry_error_offset(&err, INT64_MAX);
    assert_true(err.offset == INT64_MAX);
    ferry_error_offset(&err, UINT64_MAX);
    assert_true(err.offset == -1);
}

static void its_own_hint_goes_before_the_codes(void **state)
{
    struct ferry_error err = { 0 };

    assert_string_equal(ferry_error_advice(&err), "");
    ferry_error_set(&err, -ECANCELED, "x");
    assert_string_equal(ferry_error_advice(&err), ferry_code_info(FERRY_E_CANCELLED)->hint);
    ferry_error_hint(&err, "do %s", "this");
    assert_string_equal(ferry_error_advice(&err), "do this");
    err.hint[0] = '\0';
    err.code = (enum ferry_code)65535;
    assert_string_equal(ferry_error_advice(&err), "");
}

static void a_prefix_keeps_the_rest(void **state)
{
    struct ferry_error err;
    char text[2 * FERRY_ERROR_TEXT_BYTES];

    ferry_error_set_code(&err, FERRY_E_DEVICE_REFUSED, -EINVAL, "no");
    ferry_error_object(&err, "serial");
    assert_int_equal(ferry_error_prefix(&err, "device '%s'", "serial"), -EINVAL);
    assert_string_equal(err.text, "device 'serial': no");
    assert_int_equal(err.code, FERRY_E_DEVICE_REFUSED);
    assert_string_equal(err.object, "serial");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ferry_error_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), FERRY_ERROR_TEXT_BYTES - 1);
}

static void names_from_a_stream_do_not_reach_the_terminal(void **state)
{
    struct ferry_error err;

    ferry_error_set(&err, -ENOENT, "device '%s'",
                    "\033]0;owned\007\n\302\233"
                    "2J\377");
    assert_string_equal(err.text, "device '?]0;owned? ?2J?'");
    ferry_error_object(&err, "%s", "\033[2J");
    assert_string_equal(err.object, "?[2J");
    ferry_error_hint(&err, "%s", "\r\033");
    assert_string_equal(err.hint, "??");
    ferry_error_prefix(&err, "\b\b");
    assert_string_equal(err.text, "??: device '?]0;owned? ?2J?'");
    err.phase[0] = '\0';
    ferry_error_where(&err, FERRY_SIDE_SOURCE, "\vx");
    assert_string_equal(err.phase, "?x");
}

static void printable_becomes(const char *from, size_t bytes, size_t room, const char *want)
{
    char to[64];

    memset(to, 'Z', sizeof(to));
    assert_int_equal(printable(to, room, from, bytes), strlen(want));
    assert_string_equal(to, want);
    assert_true(to[room] == 'Z'); /* nothing was written behind */
}

static void letters_of_all_languages_stay(void **state)
{
    static const char text[] = "Z\303\274rich \346\235\261\344\272\254 \360\237\232\242";

    printable_becomes(text, sizeof(text), 40, text);
}

static void malformed_text_is_marked_byte_by_byte(void **state)
{
    printable_becomes("\200a\300\257b", 5, 40, "?a??b");         /* stray, overlong */
    printable_becomes("\355\240\200", 3, 40, "???");             /* a surrogate */
    printable_becomes("\364\220\200\200\370x", 6, 40, "?????x"); /* above the last, no such first byte */
    printable_becomes("\340\200\257\360\200\200\257", 7, 40, "???????");
    printable_becomes("a\303", 2, 40, "a?"); /* cut short */
    printable_becomes("\303"
                      "(",
                      2, 40, "?(");
    printable_becomes("\342\200\256x\342\200\217\357\273\277", 10, 40, "?x??"); /* writing turned around */
    printable_becomes("\177\302\205", 3, 40, "??");
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    printable_becomes("abc", 3, 4, "abc");
    printable_becomes("abc", 3, 3, "ab");
    printable_becomes("abc", 3, 1, "");
    printable_becomes("a\303\274", 3, 3, "a");
    printable_becomes("a\303\274", 3, 4, "a\303\274");
    printable_becomes("ab\0cd", 5, 40, "ab");
    printable_becomes("abcd", 2, 40, "ab");
    printable_becomes("", 0, 40, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_code_is_that_of_the_errno),
        cmocka_unit_test(a_code_of_its_own_says_more),
        cmocka_unit_test(nobody_needs_to_listen),
        cmocka_unit_test(what_was_there_before_is_gone),
        cmocka_unit_test(where_it_was_first_stays),
        cmocka_unit_test(an_offset_out_of_reach_is_unknown),
        cmocka_unit_test(its_own_hint_goes_before_the_codes),
        cmocka_unit_test(a_prefix_keeps_the_rest),
        cmocka_unit_test(names_from_a_stream_do_not_reach_the_terminal),
        cmocka_unit_test(letters_of_all_languages_stay),
        cmocka_unit_test(malformed_text_is_marked_byte_by_byte),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
