/* SPDX-License-Identifier: BSD-3-Clause */
/* codes_test.c - the codes of errors are frozen, each has everything a person needs, and each way finds its row */
#include <ctype.h>
#include <errno.h>
#include <ferry/codes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* What was released stays: rows are only added here. */
static const struct {
    int number;
    const char *name;
} frozen[] = {
    { 101, "connection-refused" },
    { 102, "connection-timeout" },
    { 103, "connection-lost" },
    { 104, "unreachable" },
    { 105, "name-unknown" },
    { 106, "address-in-use" },
    { 107, "address-invalid" },
    { 108, "nobody-connected" },
    { 109, "peer-silent" },
    { 110, "command-failed" },
    { 111, "one-way-channel" },
    { 112, "tls-credentials" },
    { 113, "tls-untrusted" },
    { 114, "tls-refused" },
    { 115, "tls-expected" },
    { 116, "tls-broken" },
    { 201, "not-a-stream" },
    { 202, "stream-version" },
    { 203, "stream-broken" },
    { 204, "stream-ended" },
    { 205, "unknown-section" },
    { 206, "unknown-command" },
    { 207, "unknown-capability" },
    { 208, "bad-page-record" },
    { 209, "bad-return-message" },
    { 210, "bad-hello" },
    { 211, "protocol-version" },
    { 212, "foreign-connection" },
    { 213, "peer-failed" },
    { 301, "machine-mismatch" },
    { 302, "unknown-block" },
    { 303, "block-length" },
    { 304, "page-size" },
    { 305, "unknown-device" },
    { 306, "device-missing" },
    { 307, "device-version" },
    { 308, "device-configuration" },
    { 309, "capability-missing" },
    { 310, "refused" },
    { 401, "bad-block" },
    { 402, "no-dirty-tracking" },
    { 403, "dirty-tracking-failed" },
    { 404, "page-not-placed" },
    { 405, "memory-limit" },
    { 406, "memory-incomplete" },
    { 407, "postcopy-unsupported" },
    { 408, "pages-missing" },
    { 501, "device-refused" },
    { 502, "device-unmigratable" },
    { 503, "device-not-saved" },
    { 504, "device-not-ready" },
    { 505, "device-self-check" },
    { 601, "cannot-converge" },
    { 602, "cancelled" },
    { 603, "out-of-time" },
    { 604, "bad-option" },
    { 605, "blocked" },
    { 701, "guest-not-stopped" },
    { 702, "guest-not-started" },
    { 703, "uncertain" },
    { 704, "undecided" },
    { 705, "bad-token" },
    { 706, "not-ready" },
    { 707, "journal" },
    { 708, "verification" },
    { 709, "postcopy-interrupted" },
    { 710, "postcopy-order" },
    { 801, "out-of-memory" },
    { 802, "not-permitted" },
    { 803, "out-of-descriptors" },
    { 804, "no-space" },
    { 805, "not-supported" },
    { 806, "not-found" },
    { 807, "input-output" },
    { 901, "internal" },
    { 902, "invalid-argument" },
    { 903, "shut-down" },
};

static void numbers_and_names_never_change(void **state)
{
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        const struct ferry_code_info *info = ferry_code_info((enum ferry_code)frozen[i].number);

        assert_non_null(info);
        assert_string_equal(info->name, frozen[i].name);
    }
    while (ferry_code_at(count))
        count++;
    assert_int_equal(count, sizeof(frozen) / sizeof(frozen[0]));
}

static void rows_ascend(void **state)
{
    for (unsigned i = 1; ferry_code_at(i); i++)
        assert_true(ferry_code_at(i)->code > ferry_code_at(i - 1)->code);
}

static void names_are_words_with_dashes_and_unique(void **state)
{
    for (unsigned i = 0; ferry_code_at(i); i++) {
        const char *name = ferry_code_at(i)->name;

        assert_true(strlen(name) >= 5 && strlen(name) <= 24);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        assert_true(islower((unsigned char)name[0]) && islower((unsigned char)name[strlen(name) - 1]));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(name, ferry_code_at(j)->name);
    }
}

static void assert_prose(const char *text, size_t least, size_t most)
{
    size_t bytes = strlen(text);

    assert_true(bytes >= least && bytes <= most);
    for (size_t i = 0; i < bytes; i++)
        assert_true(text[i] >= ' ' && text[i] <= '~');
    assert_true(text[0] != ' ' && text[bytes - 1] != ' ');
    assert_null(strstr(text, "  "));
}

static unsigned sentences(const char *text)
{
    unsigned count = 0;

    for (size_t i = 0; text[i]; i++)
        count += text[i] == '.' && (text[i + 1] == ' ' || text[i + 1] == '\0');
    return count;
}

static void every_row_says_what_why_and_what_to_do(void **state)
{
    for (unsigned i = 0; ferry_code_at(i); i++) {
        const struct ferry_code_info *info = ferry_code_at(i);
        const char *end = info->explanation + strlen(info->explanation) - 1;

        assert_prose(info->summary, 15, 72);
        assert_true(info->summary[strlen(info->summary) - 1] != '.');
        assert_prose(info->explanation, 60, 480);
        assert_true(*end == '.' && isupper((unsigned char)info->explanation[0]));
        assert_in_range(sentences(info->explanation), 2, 5);
        assert_prose(info->hint, 10, 128);
        assert_true(info->errnum < 0);
    }
}

static void every_row_is_in_a_group(void **state)
{
    for (unsigned i = 0; ferry_code_at(i); i++)
        assert_string_not_equal(ferry_code_group(ferry_code_at(i)->code), "unknown");
    assert_string_equal(ferry_code_group(FERRY_E_CONNECTION_REFUSED), "connecting");
    assert_string_equal(ferry_code_group(FERRY_E_SHUT_DOWN), "within");
    assert_string_equal(ferry_code_group(FERRY_E_NONE), "unknown");
    assert_string_equal(ferry_code_group((enum ferry_code)1001), "unknown");
    assert_string_equal(ferry_code_group((enum ferry_code)65535), "unknown");
}

static void a_row_is_found_by_name_and_by_number(void **state)
{
    for (unsigned i = 0; ferry_code_at(i); i++) {
        const struct ferry_code_info *info = ferry_code_at(i);
        char number[16];

        snprintf(number, sizeof(number), "%d", (int)info->code);
        assert_ptr_equal(ferry_code_find(number), info);
        assert_ptr_equal(ferry_code_find(info->name), info);
        assert_ptr_equal(ferry_code_info(info->code), info);
        assert_string_equal(ferry_code_name(info->code), info->name);
    }
}

static void nothing_else_is_found(void **state)
{
    static const char *const strange[] = { "",
                                           "0",
                                           "-101",
                                           "101x",
                                           " 101",
                                           "1",
                                           "100",
                                           "999",
                                           "4294967397",
                                           "18446744073709551717",
                                           "Connection-refused",
                                           "connection",
                                           "unknown" };

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        assert_null(ferry_code_find(strange[i]));
    assert_null(ferry_code_info(FERRY_E_NONE));
    assert_null(ferry_code_info((enum ferry_code)65535));
    assert_string_equal(ferry_code_name(FERRY_E_NONE), "none");
    assert_string_equal(ferry_code_name((enum ferry_code)65535), "unknown");
}

static void an_errno_alone_has_a_code(void **state)
{
    assert_int_equal(ferry_code_of_errnum(0), FERRY_E_NONE);
    assert_int_equal(ferry_code_of_errnum(-ECONNREFUSED), FERRY_E_CONNECTION_REFUSED);
    assert_int_equal(ferry_code_of_errnum(-ENOMEM), FERRY_E_OUT_OF_MEMORY);
    assert_int_equal(ferry_code_of_errnum(-ECANCELED), FERRY_E_CANCELLED);
    assert_int_equal(ferry_code_of_errnum(-EPROTO), FERRY_E_STREAM_BROKEN);
    assert_int_equal(ferry_code_of_errnum(-ENOEXEC), FERRY_E_INTERNAL);
    assert_int_equal(ferry_code_of_errnum(-100000), FERRY_E_INTERNAL);
    for (int errnum = 1; errnum < 200; errnum++)
        assert_non_null(ferry_code_info(ferry_code_of_errnum(-errnum)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_names_never_change),
        cmocka_unit_test(rows_ascend),
        cmocka_unit_test(names_are_words_with_dashes_and_unique),
        cmocka_unit_test(every_row_says_what_why_and_what_to_do),
        cmocka_unit_test(every_row_is_in_a_group),
        cmocka_unit_test(a_row_is_found_by_name_and_by_number),
        cmocka_unit_test(nothing_else_is_found),
        cmocka_unit_test(an_errno_alone_has_a_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
