/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_postcopy_test.c - memory that follows its guest is found, counted once, and put in place, on whatever
 * connection it comes; each step out of order, each range outside of its block and each torn page is told, with its
 * place */
#include "inspect_fixture.h"

#include "inspect_postcopy.h"
#include "inspect_print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 3

/* A main connection and what is beside it, in memory. */
struct wires {
    struct made main, beside[CONNECTIONS_MAX];
    unsigned count;
};

/* ---- looking at them ------------------------------------------------------------------------------------------- */

static struct ferry_channel *open_made(struct made *made)
{
    size_t bytes;
    const uint8_t *data = made_finish(made, &bytes);
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);

    assert_non_null(chan);
    return chan;
}

static void wires_begin(struct wires *wires, unsigned count)
{
    made_begin(&wires->main);
    for (unsigned i = 0; i < count; i++)
        made_begin(&wires->beside[i]);
    wires->count = count;
}

/* Drops them. */
static void look_at_wires(struct seen *seen, struct wires *wires)
{
    struct inspect_options options = { .verbose = false };
    struct inspect_channels *channels;
    struct ferry_channel *chan;
    struct ferry_reader *reader;
    size_t bytes;
    FILE *to;

    memset(seen, 0, sizeof(*seen));
    inspect_report_init(&seen->report);
    assert_int_equal(inspect_ram_init(&seen->ram, true, 1 << 20, NULL), 0);
    channels = inspect_channels_new(&seen->ram, NULL);
    assert_non_null(channels);
    for (unsigned i = 0; i < wires->count; i++) {
        chan = open_made(&wires->beside[i]);
        assert_int_equal(inspect_channels_add(channels, chan, NULL), 0);
        ferry_channel_unref(chan);
    }
    options.channels = channels;
    chan = open_made(&wires->main);
    reader = ferry_reader_new(chan, NULL);
    ferry_channel_unref(chan);
    seen->result = inspect_stream(reader, &options, &seen->ram, &seen->report);
    inspect_channels_free(channels);
    to = open_memstream(&seen->words, &bytes);
    inspect_print(to, &seen->report, &seen->ram, false);
    fclose(to);
    made_drop(&wires->main);
    for (unsigned i = 0; i < wires->count; i++)
        made_drop(&wires->beside[i]);
}

static void assert_memory(const struct seen *seen)
{
    const struct inspect_ram_block *r = inspect_ram_find(&seen->ram, "r"), *s = inspect_ram_find(&seen->ram, "s");

    for (unsigned i = 0; i < 4096; i++) {
        assert_int_equal(r->block.host[i], 0);
        assert_int_equal(r->block.host[4096 + i], 2);
        assert_int_equal(s->block.host[i], 0);
    }
    assert_int_equal(r->missing + s->missing, 0);
}

static void assert_whole(struct seen *seen, uint64_t pages)
{
    assert_string_equal(ferry_error_text(&seen->report.error), "no error");
    assert_int_equal(seen->report.notes.count, 0);
    assert_int_equal(seen->report.postcopy->pages, pages);
    assert_int_equal(seen->report.postcopy->duplicates + seen->report.postcopy->unannounced, 0);
    assert_memory(seen);
}

/* ---- what must hold -------------------------------------------------------------------------------------------- */

static void the_package_and_what_follows_are_explained(void **state)
{
    uint64_t next = 0;
    struct made made;
    struct seen seen;

    made_begin(&made);
    put_postcopy(made.to);
    look_at_made(&seen, &made);
    assert_whole(&seen, 2);
    for (unsigned i = 0; i < seen.report.items.count; i++) {
        assert_int_equal(seen.report.items.item[i].offset, next);
        next += seen.report.items.item[i].bytes;
    }
    assert_int_equal(next, seen.report.bytes);
    assert_says(seen.words, "1 ranges of 'r', 1 pages");
    assert_says(seen.words, "      command postcopy-listen");
    assert_says(seen.words, "2 pages discarded in 2 ranges; the guest moved at byte");
    assert_says(seen.words, "2 pages followed, 0 of them asked for\n");
    assert_says(seen.json, "\"packaged\": true");
    look_away(&seen);
}

static void urgent_pages_come_beside(void **state)
{
    struct wires wires;
    struct seen seen;

    for (unsigned eos = 0; eos < 2; eos++) {
        wires_begin(&wires, 1);
        put_precopy(wires.main.to);
        put_discards(wires.main.to);
        put_package(wires.main.to);
        put_hex(wires.main.to, "0200000002"
                               "0000000000000002017300");
        put_followed(wires.main.to);
        put_following(wires.beside[0].to, "00000000000010080172", 2);
        if (eos)
            put_hex(wires.beside[0].to, "0000000000000010");
        look_at_wires(&seen, &wires);
        assert_whole(&seen, 2);
        assert_int_equal(seen.report.postcopy->wire[1].kind, WIRE_URGENT);
        assert_int_equal(seen.report.postcopy->wire[1].normal, 1);
        look_away(&seen);
    }
}

static void put_resumed(struct ferry_writer *to)
{
    put_hex(to, "08000a00020172"
                "08000a00020173"
                "0800090000");
}

/* It breaks in the middle of a page, which comes again. */
static void a_break_is_recovered_from(void **state)
{
    struct wires wires;
    struct seen seen;

    wires_begin(&wires, 2);
    put_precopy(wires.main.to);
    put_discards(wires.main.to);
    put_package(wires.main.to);
    put_hex(wires.main.to, "0200000002"
                           "0000000000000002017300"
                           "00000000000010080172ffff");
    put_hex(wires.beside[0].to, "0000000000001008017200");
    put_resumed(wires.beside[1].to);
    put_following(wires.beside[1].to,
                  "0200000002"
                  "00000000000010080172",
                  2);
    put_followed(wires.beside[1].to);
    look_at_wires(&seen, &wires);
    assert_whole(&seen, 2);
    assert_int_equal(seen.report.postcopy->breaks, 1);
    assert_true(seen.report.postcopy->wire[0].broke && seen.report.postcopy->wire[1].broke);
    assert_int_equal(seen.report.postcopy->wire[2].kind, WIRE_RESUMED);
    assert_says(seen.words, "main connection 2 takes over");
    look_away(&seen);
}

static void huge_pages_come_whole_and_in_order(void **state)
{
    static const struct {
        const char *second, *says;
    } orders[] = {
        { "00000000000030080168", NULL },
        { "00000000000020080168", "page 2 of block 'h', but page 3 of block 'h' must come first" },
        { "00000000000010080168", "page 1 of block 'h', but page 3" },
        { "00000000000000080173", "page 0 of block 's', but page 3 of block 'h' must come first" },
        { "0000000000000010", "a section ends in the middle of a huge page" },
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct made made;
        struct seen seen;

        made_begin(&made);
        put_prologue(made.to);
        put_return_path(made.to);
        put_hex(made.to, "080003001000000000000030000000000000001000"
                         "01000000020372616d0000000000000004"
                         "0000000000005004"
                         "016800000000000040000000000000002000"
                         "01730000000000001000"
                         "0000000000000010"
                         "7e00000002"
                         "080006001400016800"
                         "00000000000020000000000000002000");
        put_package(made.to);
        put_following(made.to,
                      "0200000002"
                      "00000000000020080168",
                      2);
        put_following(made.to, orders[i].second, 2);
        put_followed(made.to);
        look_at_made(&seen, &made);
        if (orders[i].says)
            assert_says(seen.words, orders[i].says);
        else
            assert_int_equal(seen.result, 0);
        assert_int_equal(seen.ram.blocks[0]->block.info.page_size, 0x2000);
        look_away(&seen);
    }
}

/* ---- faults ---------------------------------------------------------------------------------------------------- */

struct fault {
    const char *hex, *says;
};

static void assert_each_says(const struct fault *faults, size_t count, void (*put)(struct ferry_writer *to))
{
    for (size_t i = 0; i < count; i++) {
        struct made made;
        struct seen seen;

        made_begin(&made);
        put(made.to);
        put_hex(made.to, faults[i].hex);
        look_at_made(&seen, &made);
        assert_true(seen.result < 0);
        assert_says(seen.words, faults[i].says);
        assert_says(seen.words, "byte ");
        look_away(&seen);
    }
}

#define DISCARD "0800060014000172"

static void faults_before_the_switch_are_told(void **state)
{
    static const struct fault faults[] = {
        { "0800040000", "command postcopy-listen outside of a package" },
        { "0800050000", "command postcopy-run, but the migration is in precopy" },
        { "0800090000", "command postcopy-resume, but the migration is in precopy" },
        { "08000a00020172", "command recv-bitmap, but the migration is in precopy" },
        { "0800030000", "command postcopy-advise, but the migration is in precopy" },
        { "0800070004ffffffff", "a package of 4294967295 bytes, at most 1073741824 are taken" },
        { "080007000440000001", "a package of 1073741825 bytes" },
        { "080007000440000000", "the stream ends here" },
        { "080007000400000000", "the package ends without the command postcopy-run" },
        { "0800070004000000050800040000", "the package ends without the command postcopy-run" },
        { "0800070004000000090800070004000000ff", "command packaged inside a package" },
        { "08000700040000000600"
          "0800040000",
          "the end of the stream inside of the package" },
        { "08000700040000000a08000400000200000002", "memory inside of the package" },
        { "08000700040000000b0800040000080005000000", "more in the package behind the command postcopy-run" },
        { "0800070004000000050800050000", "command postcopy-run, but the migration is in precopy" },
        { DISCARD "010000000000000000"
                  "000000000000100000",
          "malformed command postcopy-ram-discard" },
        { "0800060014000178000000000000000000"
          "0000000000001000",
          "block 'x', which is not in the block list" },
        { DISCARD "00"
                  "0000000000000800"
                  "0000000000001000",
          "4096 bytes at 0x800 of block 'r'" },
        { DISCARD "00"
                  "0000000000000000"
                  "0000000000000000",
          "0 bytes at 0x0 of block 'r'" },
        { DISCARD "00"
                  "0000000000001000"
                  "0000000000002000",
          "8192 bytes at 0x1000 of block 'r'" },
        { DISCARD "00"
                  "0000000000001000"
                  "fffffffffffff000",
          "of block 'r': whole pages of 4096 bytes" },
        { DISCARD "00"
                  "fffffffffffff000"
                  "0000000000002000",
          "at 0xfffffffffffff000 of block 'r'" },
        { DISCARD "00"
                  "0000000000000000"
                  "0000000000001000"
                  "00",
          "the end, but memory was discarded" },
    };

    assert_each_says(faults, sizeof(faults) / sizeof(faults[0]), put_precopy);
}

static void put_switched(struct ferry_writer *to)
{
    put_precopy(to);
    put_discards(to);
    put_package(to);
}

static void faults_after_the_switch_are_told(void **state)
{
    static const struct fault faults[] = {
        { "0800040000", "command postcopy-listen, but the migration has switched" },
        { "0800070004000000050800040000", "command packaged, but the migration has switched" },
        { DISCARD "00"
                  "0000000000000000"
                  "0000000000001000",
          "command postcopy-ram-discard, but the migration has" },
        { "0200000002"
          "00000000000010600100",
          "a RAM record with flags 0x060" },
        { "0200000002"
          "0000000000001004",
          "a RAM record with flags 0x004" },
        { "0200000002"
          "0000000000000200",
          "a RAM record with flags 0x200" },
        { "0200000002"
          "000000000000000a0172",
          "a RAM record with flags 0x00a" },
        { "0200000002"
          "00000000000020080172",
          "block 'r': page 2 of 2" },
        { "0200000002"
          "fffffffffffff0080172",
          "block 'r': page 4503599627370495 of 2" },
        { "0200000002"
          "00000000000000080178",
          "a page of block 'x', which is not in the block list" },
        { "0200000002"
          "0000000000000002017301",
          "a zero page that is filled with something else" },
        { "0200000002"
          "00000000000010080172ffff",
          "the stream ends here" },
        { "03000000020000000000000010"
          "7e00000002"
          "00",
          "the end, but 2 pages are awaited still" },
        { "00", "2 pages are awaited still" },
        { "0006000000027b7d", "bytes after the end" },
        { "01000000020372616d0000000000000004", "a second section 'ram'" },
    };

    assert_each_says(faults, sizeof(faults) / sizeof(faults[0]), put_switched);
}

static void a_page_that_comes_twice_is_told_and_not_placed(void **state)
{
    struct made made;
    struct seen seen;

    made_begin(&made);
    put_switched(made.to);
    put_following(made.to,
                  "0200000002"
                  "00000000000010080172",
                  2);
    put_following(made.to, "0000000000001028", 3);
    put_following(made.to, "0000000000000028", 3);
    put_hex(made.to, "0000000000000002017300");
    put_followed(made.to);
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.report.postcopy->duplicates, 1);
    assert_int_equal(seen.report.postcopy->unannounced, 1);
    assert_says(seen.words,
                "1 pages came twice after the switch, 1 though they had come before and were not discarded: "
                "first 'r' page 1, ");
    assert_memory(&seen);
    look_away(&seen);
}

static void faults_of_connections_beside_are_told(void **state)
{
    static const struct fault faults[] = {
        { "00000000000010080172ff", "the stream ends here" },
        { "0000000000001028", "a page continues a block, but none came before" },
        { "0000000000000010"
          "00",
          "more bytes behind the end of the urgent connection" },
        { "0000000000001042", "a RAM record with flags 0x042" },
        { "0800090000", "it takes over after a break, but nothing broke" },
        { "47455420", "it does not begin as a page channel does" },
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct wires wires;
        struct seen seen;

        wires_begin(&wires, 1);
        put_postcopy(wires.main.to);
        put_hex(wires.beside[0].to, faults[i].hex);
        look_at_wires(&seen, &wires);
        assert_true(seen.result < 0);
        assert_says(seen.words, faults[i].says);
        look_away(&seen);
    }
}

static void faults_of_a_recovery_are_told(void **state)
{
    static const struct fault faults[] = {
        { "08000a00020178", "command recv-bitmap: block 'x', which is not in the block list" },
        { "08000a00030172ff", "which is not in the block list" },
        { "08000a00020172"
          "0200000002",
          "memory before the command postcopy-resume" },
        { "0800050000", "command postcopy-run, but the migration is being recovered" },
        { "08000900000800090000", "command postcopy-resume, but the migration has switched" },
        { "080009000000", "2 pages are awaited still" },
        { "0800", "the stream ends here" },
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct wires wires;
        struct seen seen;

        wires_begin(&wires, 1);
        put_switched(wires.main.to);
        put_hex(wires.beside[0].to, faults[i].hex);
        look_at_wires(&seen, &wires);
        assert_true(seen.result < 0);
        assert_says(seen.words, faults[i].says);
        look_away(&seen);
    }
}

/* ---- any damage ------------------------------------------------------------------------------------------------ */

static void every_prefix_and_every_flipped_bit_ends_with_a_sentence(void **state)
{
    struct made made;
    uint8_t *data;
    size_t bytes;

    made_begin(&made);
    put_postcopy(made.to);
    data = (uint8_t *)made_finish(&made, &bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *part = malloc(cut + 1);
        struct seen seen;

        memcpy(part, data, cut);
        if (cut < 300 || cut % 97 == 0 || cut + 300 > bytes) {
            look(&seen, part, cut);
            assert_true(seen.result < 0);
            assert_true(seen.report.bytes <= cut);
            look_away(&seen);
        }
        free(part);
    }
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        struct seen seen;

        if (data[bit / 8] <= 2 && bit / 8 > 8 && data[bit / 8 - 8] == data[bit / 8] && bit % 61 != 0)
            continue; /* in a page */
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        look(&seen, data, bytes);
        look_away(&seen);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    made_drop(&made);
}

/* Sixteen bytes must not buy a walk over all memory, as often as they come. */
static void memory_is_not_discarded_for_ever(void **state)
{
    struct made made;
    struct seen seen;

    made_begin(&made);
    put_precopy(made.to);
    for (unsigned i = 0; i < 20; i++)
        put_hex(made.to, "080006001400017200"
                         "00000000000000000000000000002000");
    look_at_made(&seen, &made);
    assert_int_equal(seen.result, -E2BIG);
    assert_says(seen.words, "block 'r': the same memory is discarded again and again");
    look_away(&seen);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_package_and_what_follows_are_explained),
        cmocka_unit_test(urgent_pages_come_beside),
        cmocka_unit_test(a_break_is_recovered_from),
        cmocka_unit_test(huge_pages_come_whole_and_in_order),
        cmocka_unit_test(faults_before_the_switch_are_told),
        cmocka_unit_test(faults_after_the_switch_are_told),
        cmocka_unit_test(a_page_that_comes_twice_is_told_and_not_placed),
        cmocka_unit_test(faults_of_connections_beside_are_told),
        cmocka_unit_test(faults_of_a_recovery_are_told),
        cmocka_unit_test(memory_is_not_discarded_for_ever),
        cmocka_unit_test(every_prefix_and_every_flipped_bit_ends_with_a_sentence),
    };

    return cmocka_run_group_tests_name("inspect postcopy", tests, NULL, NULL);
}
