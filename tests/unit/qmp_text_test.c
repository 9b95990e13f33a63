/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_text_test.c - JSON is found in bytes however they come, and what is no JSON costs no more than its limit */
#include "qmp_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 512

/* What is found in @bytes, given @piece at a time: "v" a value, "b" broken, "L" too long; values counted by a checksum.
 */
static char *found_in(const char *data, size_t bytes, size_t piece, char *to, size_t room)
{
    struct qmp_text text = { .limit = LIMIT };
    char why[QMP_WHY_BYTES];
    size_t count = 0;

    for (size_t at = 0; at < bytes;) {
        size_t left = bytes - at < piece ? bytes - at : piece;

        while (left > 0 && count + 1 < room) {
            json_t *value = NULL;
            size_t used = SIZE_MAX;
            enum qmp_found found = qmp_text_take(&text, data + at, left, &used, &value, why);

            assert_true(used <= left);
            assert_true(text.bytes <= LIMIT);
            assert_int_equal(value != NULL, found == QMP_FOUND_VALUE);
            json_decref(value);
            at += used;
            left -= used;
            if (found == QMP_FOUND_TOO_LONG) {
                to[count++] = 'L';
                at = bytes;
                break;
            }
            if (found != QMP_FOUND_NOTHING)
                to[count++] = found == QMP_FOUND_VALUE ? 'v' : 'b';
        }
    }
    to[count] = '\0';
    qmp_text_clear(&text);
    assert_null(text.held);
    return to;
}

static void expect(const char *data, const char *what)
{
    char to[64];

    for (size_t piece = 1; piece <= strlen(data) + 1; piece++)
        assert_string_equal(found_in(data, strlen(data), piece, to, sizeof(to)), what);
}

static void test_values(void **state)
{
    expect("{\"execute\": \"x\"}", "v");
    expect("{\"a\": 1}{\"b\": 2}[3]", "vvv");
    expect("{\n  \"a\": [\n    1, {\"}\": \"]\\\"\\\\\"}\n  ]\n}\n", "v");
    expect("17\ntrue \"word\" null\n", "vvvv");
    expect("\"a{b\"{}", "vv");
    expect("   \r\n\t\n", "");
    expect("{\"half\": ", "");
}

static void test_broken(void **state)
{
    expect("hello\n{}", "bv");
    expect("hello world and all {}\n", "bv");
    expect("{\"a\": ]{}", "bv");
    expect("}{}", "bv");
    expect("{\"a\": 1, \"a\": 2}{}", "bv");
    expect("{\"a\": \"\xfe\"}{}", "bv");
    expect("{'a': 1}\n[]", "bv");
}

static void test_a_byte_that_starts_anew(void **state)
{
    expect("{\"half\": \"\xff{}", "v");
    expect("\xff\xff[1]", "v");
}

static void test_too_long(void **state)
{
    char data[LIMIT + 8], to[8];

    memset(data, 'x', sizeof(data));
    memcpy(data, "{\"", 2);
    assert_string_equal(found_in(data, sizeof(data), 100, to, sizeof(to)), "L");
    memset(data, '[', sizeof(data));
    assert_string_equal(found_in(data, sizeof(data), 7, to, sizeof(to)), "L");
    memset(data, ' ', sizeof(data));
    memcpy(data + sizeof(data) - 2, "{}", 2);
    assert_string_equal(found_in(data, sizeof(data), 7, to, sizeof(to)), "v");
}

static void test_words_are_said(void **state)
{
    struct qmp_text text = { .limit = LIMIT };
    char why[QMP_WHY_BYTES] = "";
    json_t *value;
    size_t used;

    assert_int_equal(qmp_text_take(&text, "{\"a\" 1}", 7, &used, &value, why), QMP_FOUND_BROKEN);
    assert_non_null(strstr(why, "JSON parse error"));
    qmp_text_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),         cmocka_unit_test(test_broken),
        cmocka_unit_test(test_too_long),       cmocka_unit_test(test_a_byte_that_starts_anew),
        cmocka_unit_test(test_words_are_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
