/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_broken_test.c - of a broken stream everything before the fault is shown, and the fault is named
 *
 * A good stream is cut after every byte, each bit outside of its page is flipped, and it is bent in every way that the
 * walk has a sentence for.
 */
#include "inspect_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- broken ones ----------------------------------------------------------------------------------------------- */

static void test_every_prefix(void **state)
{
    struct made made;
    const uint8_t *data;
    size_t bytes;

    made_begin(&made);
    put_golden(made.to);
    data = made_finish(&made, &bytes);
    for (size_t cut = 0; cut < bytes; cut += cut < 300 || cut > 4096 ? 1 : 97) {
        uint8_t *part = malloc(cut + 1);
        struct seen seen;

        memcpy(part, data, cut);
        look(&seen, part, cut);
        /* The description may be missing altogether. */
        if (seen.result == 0)
            assert_int_equal(data[cut], SECTION_VMDESC);
        else
            assert_true(seen.report.bytes <= cut);
        look_away(&seen);
        free(part);
    }
    made_drop(&made);
}

static void test_every_flipped_bit(void **state)
{
    struct made made;
    uint8_t *data;
    size_t bytes;

    made_begin(&made);
    put_golden(made.to);
    data = (uint8_t *)made_finish(&made, &bytes);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        struct seen seen;

        if (bit / 8 > 200 && bit / 8 < 4096 && bit / 8 % 512 != 0)
            continue; /* the page */
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        look(&seen, data, bytes);
        look_away(&seen);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    made_drop(&made);
}

static void put_commands(struct ferry_writer *to, const char *hex)
{
    put_prologue(to);
    put_hex(to, hex);
}

/* Each stream ends with its sentence. */
static void test_each_fault_has_its_sentence(void **state)
{
    static const struct {
        const char *hex, *says;
    } faults[] = {
        { "080002000400000001", "a ping, but no return path" },
        { "08000c0000", "unknown command 12" },
        { "0800000000", "unknown command 0" },
        { "0800010001ff", "command open-return-path with 1 bytes" },
        { "080007000400000010", "command packaged, but the migration has not been advised of postcopy" },
        { "0800040000", "command postcopy-listen, but the migration has not been advised" },
        { "0800090000", "command postcopy-resume, but the migration has not been advised" },
        { "0200000009", "section 9 goes on, but never began" },
        { "01000000020372616d0000000000000003", "section 'ram' of version 3" },
        { "0400000005", "the stream ends here" },
        { "04000000050364657600000000000000010102", "the stream ends inside section 5 ('dev')" },
        { "0400000005031b5b6d00000000000000010102", "('\\x1b[m')" },
        { "00", "carries no memory" },
        { "ff", "0xff where a section" },
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct seen seen;
        struct made made;

        made_begin(&made);
        put_commands(made.to, faults[i].hex);
        look_at_made(&seen, &made);
        assert_true(seen.result < 0);
        assert_says(seen.words, faults[i].says);
        assert_says(seen.words, "machine test");
        look_away(&seen);
    }
}

static void test_bytes_after_the_end(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_golden(made.to);
    put_hex(made.to, "000000");
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, -EPROTO);
    assert_says(seen.words, "3 bytes after the end");
    look_away(&seen);
}

static void test_damaged_memory_after_its_end(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_prologue(made.to);
    put_ram_start(made.to);
    put_pages(made.to);
    put_ram_end(made.to);
    put_pages(made.to);
    look_at_made(&seen, &made);
    assert_says(seen.words, "'ram' goes on after its end");
    look_away(&seen);
}

static void test_pages_elsewhere(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_prologue(made.to);
    put_ram_start(made.to);
    put_ram_end(made.to);
    put_full(made.to, GOLDEN_BODY);
    put_end(made.to, GOLDEN);
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, -ENOTSUP);
    assert_says(seen.words, "further connections");
    assert_says(seen.words, "    a  uint32 42 (0x2a)\n");
    look_away(&seen);
}

/* Descriptions that are made to hurt end soon, and the sections are there all the same. */
static void test_hostile_descriptions(void **state)
{
    static const char *const fields[] = {
        "{\"name\": \"a\", \"array_len\": 1099511627776, \"type\": \"uint8\", \"size\": 0}",
        "{\"array_len\": 9223372036854775807, \"type\": \"uint8\", \"size\": 9223372036854775807}",
        "{\"array_len\": 1099511627776, \"type\": \"struct\", \"struct\": {\"fields\": []}, \"size\": 0}",
        "{\"name\": \"a\", \"array_len\": -1, \"type\": \"uint8\", \"size\": -1}",
        "{\"name\": \"a\", \"type\": \"gtree\", \"size\": 2}",
        "{\"size\": 1.5}, 7, \"x\", null, [], {}",
        "{\"name\": \"a\", \"type\": \"qtailq\", \"fields\": 5, \"fields\": {}, \"size\": 2}",
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct seen seen;
        struct made made;

        made_begin(&made);
        put_device(made.to, "0102", fields[i]);
        look_at_made(&seen, &made);
        assert_int_equal(seen.result, 0);
        assert_int_equal(seen.report.sections.section[1].bytes, 2);
        look_away(&seen);
    }
}

static void test_damaged_descriptions(void **state)
{
    static const char *const texts[] = { "{",
                                         "{}}",
                                         "{\"a\"}",
                                         "{\"a\": \"\\q\"}",
                                         "{\"a\": \"\\u00\"}",
                                         "{\"a\": tru}",
                                         "{\"a\": [1, 2}",
                                         "{\"a\": -}",
                                         "{\"a\": \"\\u0000\"}",
                                         "{\"a",
                                         "{\"a\": 1,}" };
    char deep[4000];

    memset(deep, '[', sizeof(deep) - 1);
    memcpy(deep, "{\"a\":", 5);
    deep[sizeof(deep) - 1] = '\0';
    for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
        const char *text = i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : deep;
        struct seen seen;
        struct made made;

        made_begin(&made);
        put_prologue(made.to);
        put_ram_start(made.to);
        put_pages(made.to);
        put_ram_end(made.to);
        put_full(made.to, GOLDEN_BODY);
        put_end(made.to, text);
        look_at_made(&seen, &made);
        assert_int_equal(seen.result, -EPROTO);
        assert_says(seen.words, "the description is damaged at its byte");
        assert_int_equal(seen.report.sections.section[1].bytes, 16);
        look_away(&seen);
    }
}

static void test_memory_above_the_limit(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_prologue(made.to);
    put_hex(made.to, "01000000020372616d0000000000000004"
                     "0000100000000004"
                     "01720000100000000000");
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, -E2BIG);
    assert_says(seen.words, "--max-ram");
    look_away(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_each_fault_has_its_sentence),
        cmocka_unit_test(test_bytes_after_the_end),
        cmocka_unit_test(test_damaged_memory_after_its_end),
        cmocka_unit_test(test_pages_elsewhere),
        cmocka_unit_test(test_hostile_descriptions),
        cmocka_unit_test(test_damaged_descriptions),
        cmocka_unit_test(test_memory_above_the_limit),
    };

    return cmocka_run_group_tests_name("inspect broken", tests, NULL, NULL);
}
