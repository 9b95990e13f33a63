/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_test.c - what is in a stream is found, sized and shown, and a live source is answered */
#include "inspect_fixture.h"

#include "return_path.h"

#include <errno.h>
#include <string.h>

/* ---- whole ones ------------------------------------------------------------------------------------------------ */

static void test_golden_is_whole(void **state)
{
    const struct inspect_ram_block *r, *s;
    const struct report_section *dev;
    uint64_t next = 0;
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_golden(made.to);
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.report.notes.count, 0);
    for (unsigned i = 0; i < seen.report.items.count; i++) {
        assert_int_equal(seen.report.items.item[i].offset, next);
        next += seen.report.items.item[i].bytes;
    }
    assert_int_equal(next, seen.report.bytes);
    assert_int_equal(seen.report.sections.count, 2);
    dev = &seen.report.sections.section[1];
    assert_int_equal(dev->bytes, 16);
    assert_int_equal(dev->sized, SIZED_BY_DESCRIPTION);
    r = inspect_ram_find(&seen.ram, NULL);
    s = inspect_ram_find(&seen.ram, "s");
    assert_string_equal(r->block.info.name, "r");
    assert_int_equal(r->normal, 2);
    assert_int_equal(seen.ram.loader.counts.normal, 1);
    assert_int_equal(seen.ram.loader.counts.xbzrle, 1);
    assert_int_equal(r->zero + s->zero, 2);
    assert_int_equal(r->block.host[4095], 0);
    assert_int_equal(r->block.host[4096], 9);
    assert_int_equal(r->block.host[4097], 1);
    assert_memory_equal(r->block.host + 4096 + 300, "\xaa\xbb\xcc", 3);
    assert_int_equal(r->block.host[8191], 7);
    assert_int_equal(s->block.host[0], 0);
    assert_int_equal(r->missing + s->missing, 0);
    assert_says(seen.words, "command ping: 1\n");
    assert_says(seen.words, "    a  uint32 42 (0x2a)\n    dev/x  subsection\n        b  bool true\n");
    assert_says(seen.json, "\"status\": \"completed\"");
    look_away(&seen);
}

/* Shows one device and looks for words. */
static void assert_shown(const char *body, const char *fields, const char *words, const char *json)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_device(made.to, body, fields);
    look_at_made(&seen, &made);
    if (seen.result)
        fail_msg("%s", ferry_error_text(&seen.report.error));
    assert_says(seen.words, words);
    if (json)
        assert_says(seen.json, json);
    look_away(&seen);
}

static void test_values_by_type(void **state)
{
    assert_shown("fe00", "{\"name\": \"v\", \"type\": \"int16\", \"size\": 2}", "    v  int16 -512\n",
                 "\"value\": -512");
    assert_shown("ffffffffffffffff", "{\"name\": \"v\", \"type\": \"uint64\", \"size\": 8}",
                 "    v  uint64 18446744073709551615 (0xffffffffffffffff)\n", "\"value\": \"18446744073709551615\"");
    assert_shown("00000007", "{\"name\": \"v\", \"type\": \"uint32 equal\", \"size\": 4}", "    v  uint32 equal 7\n",
                 "\"value\": 7");
    assert_shown("ffffffff", "{\"name\": \"v\", \"type\": \"int32 le\", \"size\": 4}", "    v  int32 le -1\n", NULL);
    assert_shown("ffffffffffffffff", "{\"name\": \"t\", \"type\": \"timer\", \"size\": 8}", "    t  timer not armed\n",
                 "\"value\": null");
    assert_shown("00000000000003e8", "{\"name\": \"t\", \"type\": \"timer\", \"size\": 8}", "    t  timer 1000 ns (",
                 NULL);
    assert_shown("72756e6e696e670000", "{\"name\": \"s\", \"type\": \"buffer\", \"size\": 9}",
                 "    s  buffer 9 bytes \"running\" 72756e6e696e670000\n", "\"value\": \"72756e6e696e670000\"");
    assert_shown("0000000100000000000000010000000000",
                 "{\"name\": \"i\", \"type\": \"pci irq state\", \"size\": 16},"
                 "{\"name\": \"n\", \"type\": \"nullptr\", \"size\": 1, \"index\": 3}",
                 "    i[4]  pci irq state 1, 0, 1, 0\n    n[3]  nullptr none\n", NULL);
    assert_shown("010203", "{\"name\": \"odd\", \"type\": \"uint32\", \"size\": 3}", "    odd  uint32 3 bytes 010203\n",
                 NULL);
    assert_shown("000100ff", "{\"name\": \"a\", \"array_len\": 2, \"type\": \"uint16\", \"size\": 2}",
                 "    a[2]  uint16 1, 255 (0xff)\n", NULL);
}

static void test_nested_fields(void **state)
{
    assert_shown(
        "0105"
        "0206",
        "{\"name\": \"s\", \"array_len\": 2, \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"e\", \"fields\": ["
        "{\"name\": \"x\", \"type\": \"uint8\", \"size\": 1}, {\"name\": \"y\", \"type\": \"uint8\", \"size\": 1}]}, "
        "\"size\": 2}",
        "    s[0]  struct\n        x  uint8 1\n        y  uint8 5\n    s[1]  struct\n        x  uint8 2\n", NULL);
    assert_shown("07",
                 "{\"name\": \"t\", \"type\": \"tmp\", \"vmsd_name\": \"e\", \"version\": 0, \"fields\": ["
                 "{\"name\": \"x\", \"type\": \"uint8\", \"size\": 1}], \"size\": 1}",
                 "    t  tmp\n        x  uint8 7\n", NULL);
    /* A struct with a subsection of its own. */
    assert_shown("09"
                 "0503652f7300000001"
                 "08",
                 "{\"name\": \"s\", \"type\": \"struct\", \"struct\": {\"vmsd_name\": \"e\", \"fields\": ["
                 "{\"name\": \"x\", \"type\": \"uint8\", \"size\": 1}], \"subsections\": [{\"vmsd_name\": \"e/s\", "
                 "\"version\": 1, "
                 "\"fields\": [{\"name\": \"z\", \"type\": \"int8\", \"size\": 1}]}]}, \"size\": 11}",
                 "        x  uint8 9\n        e/s  subsection\n            z  int8 8\n", NULL);
    /* Sizes that do not add up: bytes. */
    assert_shown("0102", "{\"name\": \"s\", \"type\": \"struct\", \"struct\": {\"fields\": []}, \"size\": 2}",
                 "    s  struct 2 bytes 0102\n", NULL);
}

#define ELEMENT                                                                                               \
    "\"vmsd_name\": \"e\", \"version\": 1, \"fields\": [{\"name\": \"b\", \"type\": \"bool\", \"size\": 1}, " \
    "{\"name\": \"v\", \"type\": \"uint8\", \"size\": 1}]"

static void test_lists_repeat_keys(void **state)
{
    assert_shown("010105"
                 "010006"
                 "00",
                 "{\"name\": \"q\", \"type\": \"qtailq\", " ELEMENT ", " ELEMENT ", \"size\": 7}",
                 "    q[0]  qtailq\n        b  bool true\n        v  uint8 5\n"
                 "    q[1]  qtailq\n        b  bool false\n        v  uint8 6\n",
                 NULL);
    assert_shown("00", "{\"name\": \"q\", \"type\": \"qlist\", \"size\": 1}", "\ndev  version 1, 1 bytes", NULL);
    assert_shown("00000001"
                 "01"
                 "0000000000000010"
                 "0103"
                 "00",
                 "{\"name\": \"g\", \"type\": \"gtree\", " ELEMENT ", \"size\": 16}",
                 "    key[0]  uint64 16 (0x10)\n    g[0]  gtree\n        b  bool true\n        v  uint8 3\n", NULL);
    assert_shown(
        "00000001"
        "01"
        "0004"
        "0103"
        "00",
        "{\"name\": \"g\", \"type\": \"gtree\", " ELEMENT ", " ELEMENT ", \"size\": 10}",
        "    key[0]  struct\n        b  bool false\n        v  uint8 4\n    g[0]  gtree\n        b  bool true\n", NULL);
}

/* ---- sizes without a description ------------------------------------------------------------------------------- */

static void test_footers_where_no_description(void **state)
{
    for (int with_item = 0; with_item < 2; with_item++) {
        struct seen seen;
        struct made made;

        made_begin(&made);
        put_prologue(made.to);
        put_ram_start(made.to);
        put_pages(made.to);
        put_ram_end(made.to);
        /* What looks like a footer, but is followed by nothing that may follow one. */
        put_full(made.to, "11"
                          "7e00000005"
                          "ff");
        put_end(made.to, with_item ? "" : NULL);
        look_at_made(&seen, &made);
        assert_int_equal(seen.result, 0);
        assert_int_equal(seen.report.sections.section[1].bytes, 7);
        assert_int_equal(seen.report.sections.section[1].sized, SIZED_BY_FOOTER);
        assert_says(seen.words, "note: the stream has no description");
        look_away(&seen);
    }
}

static void test_device_before_the_end_of_memory(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_prologue(made.to);
    put_ram_start(made.to);
    put_full(made.to, GOLDEN_BODY);
    put_pages(made.to);
    put_ram_end(made.to);
    put_end(made.to, GOLDEN);
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.report.sections.section[1].bytes, 16);
    assert_says(seen.words, "    a  uint32 42 (0x2a)\n");
    look_away(&seen);
}

static void test_background_snapshot(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_prologue(made.to);
    put_ram_start(made.to);
    put_pages(made.to);
    put_full(made.to, GOLDEN_BODY);
    put_end(made.to, GOLDEN);
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, 0);
    assert_says(seen.words, "background snapshot");
    assert_says(seen.words, "    a  uint32 42 (0x2a)\n");
    look_away(&seen);
}

static void test_wrong_description_falls_back(void **state)
{
    struct seen seen;
    struct made made;

    made_begin(&made);
    put_device(made.to, "0000000730", "{\"name\": \"p\", \"array_len\": 2, \"type\": \"uint32\", \"size\": 4}");
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.report.sections.section[1].bytes, 5);
    assert_says(seen.words, "note: 'dev': its footer comes after 5 bytes, not after 8");
    look_away(&seen);
}

/* ---- live ------------------------------------------------------------------------------------------------------ */

static uint32_t get_answer(struct ferry_reader *from, uint16_t expected)
{
    uint16_t type, bytes;
    uint32_t value;

    assert_int_equal(ferry_get_be16(from, &type), 0);
    assert_int_equal(ferry_get_be16(from, &bytes), 0);
    assert_int_equal(ferry_get_be32(from, &value), 0);
    assert_int_equal(type, expected);
    assert_int_equal(bytes, 4);
    return value;
}

/* The source keeps the channel open and waits: nothing but the stream itself says where it ends. */
static void assert_answered(const char *json, uint32_t status)
{
    struct ferry_channel *pair[2];
    struct ferry_writer *source;
    struct ferry_reader *answers;
    struct seen seen;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    source = ferry_writer_new(pair[0], NULL);
    answers = ferry_reader_new(pair[0], NULL);
    put_prologue(source);
    put_return_path(source);
    put_ram_start(source);
    put_pages(source);
    put_ram_end(source);
    put_full(source, GOLDEN_BODY);
    put_end(source, json);
    assert_int_equal(ferry_writer_flush(source, NULL), 0);
    look_at_channel(&seen, pair[1], true);
    assert_int_equal(seen.result != 0, status != 0);
    assert_int_equal(get_answer(answers, RETURN_PATH_PONG), 1);
    assert_int_equal(get_answer(answers, RETURN_PATH_SHUT), status);
    look_away(&seen);
    ferry_reader_free(answers);
    ferry_writer_free(source);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
}

static void test_live_source_is_answered(void **state)
{
    assert_answered(GOLDEN, 0);
    assert_answered("", 0);
    assert_answered("{\"a\": nonsense}", 1);
}

static void test_source_that_left_is_no_fault(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_writer *source;
    struct seen seen;

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    source = ferry_writer_new(pair[0], NULL);
    put_golden(source);
    assert_int_equal(ferry_writer_flush(source, NULL), 0);
    ferry_writer_free(source);
    ferry_channel_unref(pair[0]);
    look_at_channel(&seen, pair[1], true);
    assert_int_equal(seen.result, 0);
    assert_says(seen.words, "note: the source could not be answered");
    look_away(&seen);
    ferry_channel_unref(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_is_whole),
        cmocka_unit_test(test_values_by_type),
        cmocka_unit_test(test_nested_fields),
        cmocka_unit_test(test_lists_repeat_keys),
        cmocka_unit_test(test_footers_where_no_description),
        cmocka_unit_test(test_device_before_the_end_of_memory),
        cmocka_unit_test(test_background_snapshot),
        cmocka_unit_test(test_wrong_description_falls_back),
        cmocka_unit_test(test_live_source_is_answered),
        cmocka_unit_test(test_source_that_left_is_no_fault),
    };

    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
