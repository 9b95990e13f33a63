/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_content_test.c - a page says what it is, and nothing else can be taken for it */
#include "content.h"

#include <ferry/memory.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static alignas(4096) uint8_t page[FERRY_PAGE_BYTES], other[FERRY_PAGE_BYTES];

static struct content content_of(const char *text)
{
    struct guest_spec spec;
    struct content content;

    assert_int_equal(spec_parse(text, &spec, NULL), 0);
    content_init(&content, &spec);
    return content;
}

static const char *const kinds[] = { "content=random", "content=text", "content=mixed,seed=5" };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void what_was_written_is_recognised(void **state)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct content content = content_of(kinds[kind]);

        for (uint64_t number = 0; number < 200; number++) {
            content_write(&content, page, number, number * 3);
            assert_int_equal(content_check(&content, page, number, number * 3), CONTENT_GOOD);
        }
    }
}

static void every_changed_bit_is_found(void **state)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct content content = content_of(kinds[kind]);

        content_write(&content, page, 7, 1);
        for (size_t bit = 0; bit < FERRY_PAGE_BYTES * 8; bit += 13) {
            page[bit / 8] ^= 1u << (bit % 8);
            assert_int_equal(content_check(&content, page, 7, 1), CONTENT_DAMAGED);
            page[bit / 8] ^= 1u << (bit % 8);
        }
        assert_int_equal(content_check(&content, page, 7, 1), CONTENT_GOOD);
    }
}

static void an_older_page_is_stale_and_a_newer_one_damaged(void **state)
{
    struct content content = content_of("");

    content_write(&content, page, 7, 4);
    assert_int_equal(content_check(&content, page, 7, 5), CONTENT_STALE);
    assert_int_equal(content_check(&content, page, 7, 3), CONTENT_DAMAGED);
}

static void a_torn_page_is_damaged(void **state)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct content content = content_of(kinds[kind]);

        for (size_t cut = 64; cut < FERRY_PAGE_BYTES; cut += 64) {
            content_write(&content, page, 7, 2);
            content_write(&content, other, 7, 1);
            memcpy(page + cut, other + cut, FERRY_PAGE_BYTES - cut);
            assert_int_equal(content_check(&content, page, 7, 2), CONTENT_DAMAGED);
        }
    }
}

static void pages_of_others_are_damaged(void **state)
{
    struct content content = content_of("seed=1"), stranger = content_of("seed=2");

    content_write(&content, page, 8, 1);
    assert_int_equal(content_check(&content, page, 7, 1), CONTENT_DAMAGED);
    content_write(&stranger, page, 7, 1);
    assert_int_equal(content_check(&content, page, 7, 1), CONTENT_DAMAGED);
    memset(page, 0, sizeof(page));
    assert_int_equal(content_check(&content, page, 7, 0), CONTENT_DAMAGED);
}

static void the_zero_share_is_kept_and_is_zero(void **state)
{
    struct content content = content_of("zero=30%");
    unsigned zero = 0;
    uint64_t number = 0;

    for (uint64_t i = 0; i < 100000; i++)
        zero += content_is_zero(&content, i);
    assert_in_range(zero, 29000, 31000);
    while (!content_is_zero(&content, number))
        number++;
    memset(page, 1, sizeof(page));
    content_write(&content, page, number, 0);
    memset(other, 0, sizeof(other));
    assert_memory_equal(page, other, sizeof(page));
    assert_int_equal(content_check(&content, page, number, 0), CONTENT_GOOD);
    page[4095] = 1;
    assert_int_equal(content_check(&content, page, number, 0), CONTENT_DAMAGED);
}

static int compare_words(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Nothing to be compressed: no eight bytes occur twice in a megabyte, and each byte value about as often as any. */
static void random_pages_are_random(void **state)
{
    struct content content = content_of("content=random");
    size_t pages = 256, words = pages * FERRY_PAGE_BYTES / sizeof(uint64_t);
    uint8_t *memory = aligned_alloc(FERRY_PAGE_BYTES, pages * FERRY_PAGE_BYTES);
    unsigned counts[256] = { 0 }, repeats = 0;
    uint64_t *word = (uint64_t *)memory;

    assert_non_null(memory);
    for (size_t i = 0; i < pages; i++)
        content_write(&content, memory + i * FERRY_PAGE_BYTES, i / 2, i % 2);
    for (size_t i = 0; i < pages * FERRY_PAGE_BYTES; i++)
        counts[memory[i]]++;
    for (unsigned i = 1; i < 256; i++) /* the headers' small numbers have zeros */
        assert_in_range(counts[i], 3600, 4600);
    qsort(word, words, sizeof(*word), compare_words);
    for (size_t i = 1; i < words; i++)
        repeats += word[i] == word[i - 1];
    assert_in_range(repeats, 255, 3 * 256); /* owner, page and generation, nothing else */
    free(memory);
}

static void text_is_words(void **state)
{
    struct content content = content_of("content=text");
    unsigned spaces = 0, letters = 0;

    content_write(&content, page, 3, 0);
    for (size_t i = 32; i < FERRY_PAGE_BYTES; i++) {
        spaces += page[i] == ' ';
        letters += page[i] >= 'a' && page[i] <= 'z';
    }
    assert_in_range(spaces, 500, 1200);
    assert_true(spaces + letters + 80 > FERRY_PAGE_BYTES - 32);
}

static void the_sentence_says_what_lies_there(void **state)
{
    struct content content = content_of("zero=30%"), stranger = content_of("seed=2");
    uint64_t zero = 0, data = 0;
    char text[256], small[8];

    while (!content_is_zero(&content, zero))
        zero++;
    while (content_is_zero(&content, data))
        data++;
    content_write(&content, page, data, 4);
    content_describe(&content, page, zero, 0, text, sizeof(text));
    assert_non_null(strstr(text, "should be zero, holds generation 4 of page"));
    content_describe(&content, page, data, 5, text, sizeof(text));
    assert_non_null(strstr(text, "should hold generation 5, holds generation 4 of page"));
    page[99] ^= 1;
    content_describe(&content, page, data, 4, text, sizeof(text));
    assert_non_null(strstr(text, "should hold generation 4, fails its checksum (its header: generation 4 of page"));
    content_write(&stranger, page, data, 4);
    content_describe(&content, page, data, 4, text, sizeof(text));
    assert_non_null(strstr(text, "holds a page of another guest"));
    memset(page, 0, sizeof(page));
    content_describe(&content, page, data, 4, text, sizeof(text));
    assert_string_equal(text, "should hold generation 4, is all zero");
    content_describe(&content, page, data, 4, small, sizeof(small));
    assert_string_equal(small, "should ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_recognised),
        cmocka_unit_test(every_changed_bit_is_found),
        cmocka_unit_test(an_older_page_is_stale_and_a_newer_one_damaged),
        cmocka_unit_test(a_torn_page_is_damaged),
        cmocka_unit_test(pages_of_others_are_damaged),
        cmocka_unit_test(the_zero_share_is_kept_and_is_zero),
        cmocka_unit_test(random_pages_are_random),
        cmocka_unit_test(text_is_words),
        cmocka_unit_test(the_sentence_says_what_lies_there),
    };

    return cmocka_run_group_tests_name("guest_content", tests, NULL, NULL);
}
