/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_test.c - sections of iterative devices: their order, their turns, and what a destination refuses */
#include "guest_parts.h"
#include "iterative.h"
#include "iterative_fixture.h"
#include "iterative_load.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FIRST_ID 5
#define KIB      1024u

static struct machine machine;
static struct ferry_channel *chan;
static struct ferry_writer *writer;
static struct iterative iterative;

static int open_all(void **state)
{
    machine_open(&machine);
    chan = ferry_channel_buffer_writer(64 << 20, NULL);
    writer = ferry_writer_new(chan, NULL);
    assert_non_null(writer);
    return 0;
}

static int close_all(void **state)
{
    iterative_end(&iterative);
    ferry_writer_free(writer);
    ferry_channel_unref(chan);
    machine_close(&machine);
    return 0;
}

static void begin(void)
{
    assert_int_equal(iterative_begin(&iterative, &machine.guest->iterative, writer, NULL), 0);
    assert_int_equal(iterative_setup(&iterative, FIRST_ID, NULL), 0);
}

/* What was put so far, as "S5 P5 E6 ": type and id of each section. */
static void check_sections(const char *expected)
{
    static uint8_t chunk[TOY_ROW + 2];
    struct section_item item;
    struct ferry_channel *back;
    struct ferry_reader *reader;
    char found[256] = "";
    const void *data;
    size_t bytes;

    section_put_eof(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    data = ferry_channel_buffer_data(chan, &bytes);
    back = ferry_channel_buffer_reader(data, bytes, NULL);
    reader = ferry_reader_new(back, NULL);
    for (;;) {
        size_t used = strlen(found);

        assert_int_equal(section_get_item(reader, &item), 0);
        if (item.type == SECTION_EOF)
            break;
        snprintf(found + used, sizeof(found) - used, "%c%u ", " SPEF"[item.type], item.id);
        while (ferry_get_chunk(reader, chunk, sizeof(chunk)) > 0)
            ;
        assert_int_equal(section_get_footer(reader, &item), 0);
    }
    assert_string_equal(found, expected);
    ferry_reader_free(reader);
    ferry_channel_unref(back);
}

static void each_device_has_start_parts_and_end(void **state)
{
    bool more = false;

    begin();
    assert_int_equal(iterative_pending(&iterative), 2 * TOY_ROWS * TOY_ROW);
    assert_int_equal(iterative_some(&iterative, &more, NULL), 0);
    assert_true(more);
    assert_int_equal(iterative_complete(&iterative, NULL), 0);
    assert_int_equal(iterative_pending(&iterative), 0);
    iterative_end(&iterative);
    assert_string_equal(machine.toy[0].log, "sic.");
    assert_string_equal(machine.toy[1].log, "sic.");
    check_sections("S5 S6 P5 P6 E5 E6 ");
}

static void a_device_that_is_not_needed_is_not_sent(void **state)
{
    machine.toy[1].unneeded = true;
    begin();
    assert_int_equal(iterative_complete(&iterative, NULL), 0);
    iterative_end(&iterative);
    assert_string_equal(machine.toy[1].log, "");
    check_sections("S5 E5 ");
}

/* A turn is worth what memory's turn before it was, within bounds. */
static void a_turn_is_as_long_as_memorys(void **state)
{
    static const struct {
        unsigned memory, budget;
    } rows[] = { { 0, 256 * KIB }, { 300 * KIB, 300 * KIB }, { 700 * KIB, 700 * KIB }, { 2048 * KIB, 1024 * KIB } };
    static uint8_t memory[2048 * KIB];

    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool more = false;

        for (unsigned row = 0; row < TOY_ROWS; row++)
            toy_write(&machine.toy[0], row, 1);
        machine.toy[0].most_budget = 0;
        iterative_pending(&iterative);
        ferry_put_bytes(writer, memory, rows[i].memory);
        assert_int_equal(iterative_some(&iterative, &more, NULL), 0);
        assert_int_equal(machine.toy[0].most_budget, rows[i].budget);
    }
}

/* It is written again as fast as it is sent: the round ends all the same, and so does one with nothing to send. */
static void a_round_ends(void **state)
{
    unsigned turns = 0;
    bool more;

    begin();
    do {
        more = false;
        for (unsigned row = 0; row < TOY_ROWS; row++)
            toy_write(&machine.toy[0], row, (uint8_t)turns);
        assert_int_equal(iterative_some(&iterative, &more, NULL), 0);
        assert_true(++turns < 10);
    } while (more);
    assert_true(turns >= 4);
    assert_true(iterative_pending(&iterative) > 0);
    assert_int_equal(iterative_complete(&iterative, NULL), 0);
    iterative_pending(&iterative);
    machine.toy[0].log[0] = '\0';
    more = false;
    assert_int_equal(iterative_some(&iterative, &more, NULL), 0);
    assert_false(more);
    assert_string_equal(machine.toy[0].log, "");
}

/* Who cannot go on ends before the guest runs at the destination; who can, afterwards. */
static void postcopy_has_an_order(void **state)
{
    machine.toy[0].postcopy = true;
    begin();
    assert_int_equal(iterative_complete_before(&iterative, NULL), 0);
    assert_string_equal(machine.toy[0].log, "s");
    assert_string_equal(machine.toy[1].log, "sc");
    assert_int_equal(iterative_resume(&iterative, NULL), 0);
    assert_int_equal(iterative_complete_postcopy(&iterative, NULL), 0);
    assert_string_equal(machine.toy[0].log, "srp");
    assert_string_equal(machine.toy[1].log, "sc");
    check_sections("S5 S6 E6 E5 ");
}

static void what_fails_is_named(void **state)
{
    struct ferry_error err = { 0 };
    bool more = false;

    machine.toy[1].fail_iterate = -EIO;
    begin();
    assert_int_equal(iterative_some(&iterative, &more, &err), -EIO);
    assert_non_null(strstr(err.text, "device 'slow' 0: the toy is broken"));
    iterative_end(&iterative);
    machine.toy[0].fail_setup = -EBUSY;
    assert_int_equal(iterative_begin(&iterative, &machine.guest->iterative, writer, NULL), 0);
    assert_int_equal(iterative_setup(&iterative, FIRST_ID, &err), -EBUSY);
    iterative_end(&iterative);
    assert_string_equal(machine.toy[0].log, "si.s."); /* cleaned up after a failed set-up */
    assert_string_equal(machine.toy[1].log, "si.");
}

static void registration_is_checked(void **state)
{
    static const struct ferry_iterative_ops empty = { 0 };
    struct ferry_iterative_ops half = toy_ops;
    char name[300];

    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    half.save.iterate = NULL;
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "", 0, 1, &toy_ops, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, name, 0, 1, &toy_ops, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "ram", 0, 1, &toy_ops, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "x", 0, 0, &toy_ops, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "x", 0, 1, &empty, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "x", 0, 1, &half, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "fast", 0, 1, &toy_ops, NULL, NULL), -EEXIST);
    for (int i = 2; i < FERRY_ITERATIVE_MAX; i++)
        assert_int_equal(ferry_guest_add_iterative(machine.guest, "fast", FERRY_INSTANCE_NEXT, 1, &toy_ops, NULL, NULL),
                         0);
    assert_int_equal(ferry_guest_add_iterative(machine.guest, "one", 0, 1, &toy_ops, NULL, NULL), -ENOSPC);
}

/* ---- destination ---- */

static void put_start(uint32_t id, const char *name, uint32_t version)
{
    section_put_first(writer, SECTION_START, id, name, 0, version);
    ferry_put_chunk_end(writer);
    section_put_footer(writer, id);
}

static void put_next(enum section_type type, uint32_t id)
{
    section_put_next(writer, type, id);
    ferry_put_chunk_end(writer);
    section_put_footer(writer, id);
}

static void both_whole(void)
{
    put_start(7, "slow", 3);
    put_start(2, "fast", 1);
    put_next(SECTION_PART, 7);
    put_next(SECTION_END, 2);
    put_next(SECTION_END, 7);
}

static void optional_missing(void)
{
    put_start(2, "fast", 3);
    put_next(SECTION_END, 2);
}

static void required_missing(void)
{
    put_start(2, "slow", 3);
    put_next(SECTION_END, 2);
}

static void never_ended(void)
{
    put_start(1, "fast", 3);
    put_next(SECTION_PART, 1);
}

static void unknown_name(void)
{
    put_start(1, "unicorn", 1);
}

static void twice(void)
{
    put_start(1, "fast", 3);
    put_start(2, "fast", 3);
}

static void id_twice(void)
{
    put_start(1, "fast", 3);
    put_start(1, "slow", 3);
}

static void too_new(void)
{
    put_start(1, "fast", 4);
}

static void version_none(void)
{
    put_start(1, "fast", 0);
}

static void not_started(void)
{
    put_start(1, "fast", 3);
    put_next(SECTION_PART, 2);
}

static void after_the_end(void)
{
    put_start(1, "fast", 3);
    put_next(SECTION_END, 1);
    put_next(SECTION_PART, 1);
}

static void body_too_long(void)
{
    put_start(1, "fast", 3);
    section_put_next(writer, SECTION_PART, 1);
    ferry_put_chunk_end(writer);
    ferry_put_u8(writer, 0);
    section_put_footer(writer, 1);
}

static void chunk_too_long(void)
{
    static const uint8_t large[TOY_ROW + 3];

    put_start(1, "fast", 3);
    section_put_next(writer, SECTION_PART, 1);
    ferry_put_chunk(writer, large, sizeof(large));
}

static void row_outside(void)
{
    uint8_t row[TOY_ROW + 2] = { 0xff, 0xff };

    put_start(1, "fast", 3);
    section_put_next(writer, SECTION_PART, 1);
    ferry_put_chunk(writer, row, sizeof(row));
    ferry_put_chunk_end(writer);
    section_put_footer(writer, 1);
}

/* Load what @put puts; the error, or 0. */
static int load(void (*put)(void), struct ferry_error *err)
{
    struct section_table sections;
    struct iterative_loader loader;
    struct section_item item;
    struct ferry_channel *back;
    struct ferry_reader *reader;
    const void *data;
    size_t bytes;
    int ret;

    put();
    section_put_eof(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    data = ferry_channel_buffer_data(chan, &bytes);
    back = ferry_channel_buffer_reader(data, bytes, NULL);
    reader = ferry_reader_new(back, NULL);
    section_table_init(&sections, reader);
    assert_int_equal(iterative_load_begin(&loader, machine.guest, &sections, NULL), 0);
    do {
        ret = section_get_item(reader, &item);
        if (ret == 0 && item.type == SECTION_START)
            ret = iterative_load_start(&loader, &item);
        else if (ret == 0 && item.type != SECTION_EOF)
            ret = section_table_next(&sections, &item);
    } while (ret == 0 && item.type != SECTION_EOF);
    if (ret < 0)
        ferry_reader_status(reader, err);
    else
        ret = iterative_load_complete(&loader, err);
    iterative_load_end(&loader);
    section_table_clear(&sections);
    ferry_reader_free(reader);
    ferry_channel_unref(back);
    return ret;
}

static void a_load_believes_nothing(void **state)
{
    static const struct {
        void (*put)(void);
        int errnum;
        const char *says;
    } rows[] = {
        { both_whole, 0, "" },
        { optional_missing, 0, "" },
        { required_missing, -EPROTO, "device 'fast' 0 did not come to its end" },
        { never_ended, -EPROTO, "device 'fast' 0 did not come to its end" },
        { unknown_name, -ENOENT, "'unicorn'" },
        { twice, -EPROTO, "'fast' 0 starts twice" },
        { id_twice, -EPROTO, "section 1 ('slow') starts twice" },
        { too_new, -EINVAL, "version 4, 1 to 3 are understood" },
        { version_none, -EINVAL, "version 0, 1 to 3" },
        { not_started, -EPROTO, "section 2 goes on but was never started" },
        { after_the_end, -EPROTO, "section 1 goes on after its end" },
        { body_too_long, -EPROTO, "footer" },
        { chunk_too_long, -EPROTO, "at most" },
        { row_outside, -EPROTO, "a row that is none" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ferry_error err = { 0 };
        int ret = load(rows[i].put, &err);

        if (ret != rows[i].errnum || !strstr(err.text, rows[i].says))
            fail_msg("row %zu: %d, %s", i, ret, err.text);
        assert_int_equal(machine.toy[0].log[0], 'S');
        assert_int_equal(machine.toy[0].log[strlen(machine.toy[0].log) - 1], '!');
        close_all(NULL);
        open_all(NULL);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_device_has_start_parts_and_end, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_device_that_is_not_needed_is_not_sent, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_turn_is_as_long_as_memorys, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_round_ends, open_all, close_all),
        cmocka_unit_test_setup_teardown(postcopy_has_an_order, open_all, close_all),
        cmocka_unit_test_setup_teardown(what_fails_is_named, open_all, close_all),
        cmocka_unit_test_setup_teardown(registration_is_checked, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_load_believes_nothing, open_all, close_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
