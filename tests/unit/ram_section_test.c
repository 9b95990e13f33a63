/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_section_test.c - pages cross the main stream whole, whatever the reader guessed; hostile records are refused */
#include "ram_section.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGES 700

struct side {
    struct ram_map map;
    uint8_t *memory;
};

static void *map_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    return memory;
}

static void side_open(struct side *side, uint64_t pages)
{
    struct ferry_block block = { .name = "test.ram",
                                 .length = pages * FERRY_PAGE_BYTES,
                                 .page_size = FERRY_PAGE_BYTES,
                                 .flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH };

    side->memory = map_memory(block.length);
    block.host = side->memory;
    ram_map_init(&side->map);
    assert_int_equal(ram_map_add(&side->map, &block, NULL), 0);
}

static void side_close(struct side *side)
{
    munmap(side->memory, side->map.total_bytes);
    ram_map_clear(&side->map);
}

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    struct side *side = opaque;

    *block = ram_map_find(&side->map, name);
    return *block ? 0 : ferry_error_set(err, -ENOENT, "block '%s' is not known", name);
}

static const struct ram_loader_ops ops = { .announce = announce };

static void fill_page(uint8_t *page, unsigned seed)
{
    for (size_t i = 0; i < FERRY_PAGE_BYTES; i++)
        page[i] = (uint8_t)(seed * 37 + i * 11 + i / 256 + 1);
}

/* Send the dirty pages of @source as one body with its block list. */
static struct ferry_channel *send_pages(struct side *source, struct dirty_map *dirty, bool list)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(64u << 20, NULL);
    struct ferry_writer *writer = ferry_writer_new(chan, NULL);
    const struct ram_block *last = NULL;
    struct page_batch batch;
    uint64_t from = 0;

    if (list)
        ram_put_blocks(writer, &source->map);
    for (batch = (struct page_batch){ .block = source->map.blocks[0], .limit = BATCH_PAGES };
         batch_fill(&batch, dirty, &from, UINT64_MAX) > 0;
         batch = (struct page_batch){ .block = source->map.blocks[0], .limit = BATCH_PAGES }) {
        batch_split_zero(&batch, NULL);
        ram_put_batch(writer, &last, &batch);
    }
    ram_put_eos(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    ferry_writer_free(writer);
    return chan;
}

static int receive(struct ram_loader *loader, const void *data, size_t bytes, struct ferry_error *err)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct ferry_reader *reader = ferry_reader_new(chan, NULL);
    int ret = ram_get_body(loader, reader);

    ferry_reader_status(reader, err);
    ferry_reader_free(reader);
    ferry_channel_unref(chan);
    return ret;
}

/* Two rounds with pages chosen by @pattern: the first with everything, the second with some again. */
static void cross(bool (*is_zero)(unsigned page), struct ram_counts *counts)
{
    struct side source, destination;
    struct ferry_channel *chan;
    struct ram_loader loader;
    struct placer *placer;
    struct dirty_map dirty;
    const void *data;
    size_t bytes;

    side_open(&source, PAGES);
    side_open(&destination, PAGES);
    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    placer = placer_direct_new(&destination.map, false, NULL);
    assert_non_null(placer);
    ram_loader_init(&loader, &ops, &destination, placer);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned page = 0; page < PAGES; page++) {
            if (round > 0 && (page * 7 + round) % 3)
                continue;
            dirty_set_range(&dirty, page, 1);
            if (is_zero(page + round))
                memset(source.memory + (size_t)page * FERRY_PAGE_BYTES, 0, FERRY_PAGE_BYTES);
            else
                fill_page(source.memory + (size_t)page * FERRY_PAGE_BYTES, page + round);
        }
        chan = send_pages(&source, &dirty, round == 0);
        data = ferry_channel_buffer_data(chan, &bytes);
        assert_int_equal(receive(&loader, data, bytes, NULL), 0);
        assert_memory_equal(source.memory, destination.memory, PAGES * (size_t)FERRY_PAGE_BYTES);
        ferry_channel_unref(chan);
    }
    *counts = loader.counts;
    ram_loader_clear(&loader);
    placer_free(placer);
    dirty_clear_memory(&dirty);
    side_close(&source);
    side_close(&destination);
}

static bool never(unsigned page)
{
    return false;
}

static bool always(unsigned page)
{
    return true;
}

static bool every_other(unsigned page)
{
    return page % 2;
}

static bool in_runs(unsigned page)
{
    return page / 50 % 3 == 1 || page % 97 == 0;
}

static void all_pages_cross(void **state)
{
    struct ram_counts counts;

    cross(never, &counts);
    assert_int_equal(counts.zero, 0);
    assert_true(counts.guessed > PAGES * 9 / 10);
    cross(always, &counts);
    assert_int_equal(counts.normal, 0);
    cross(every_other, &counts);
    assert_true(counts.normal > 0 && counts.zero > 0);
    cross(in_runs, &counts);
    assert_true(counts.normal > 0 && counts.zero > 0);
}

struct hostile {
    const char *what;
    const char *expect; /* in the sentence */
    const uint8_t *bytes;
    size_t count;
};

#define RECORD(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define LIST        0, 0, 0, 0, 0, 0, 0x20, 0x04, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm', 0, 0, 0, 0, 0, 0, 0x20, 0

static const struct hostile hostiles[] = {
    { "a page before the list", "not in the block list",
      RECORD(0, 0, 0, 0, 0, 0, 0, 0x08, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm') },
    { "continue before any page", "none came before", RECORD(0, 0, 0, 0, 0, 0, 0, 0x28) },
    { "beyond the block", "page 2 of 2",
      RECORD(LIST, 0, 0, 0, 0, 0, 0, 0x20, 0x08, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm') },
    { "offset that wraps", "of 2",
      RECORD(LIST, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0x08, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm') },
    { "two flags", "flags 0x00a", RECORD(0, 0, 0, 0, 0, 0, 0, 0x0a) },
    { "no flag", "flags 0x000", RECORD(0, 0, 0, 0, 0, 0, 0, 0x00) },
    { "second list", "second block list", RECORD(LIST, LIST) },
    { "unknown block", "is not known", RECORD(0, 0, 0, 0, 0, 0, 0x10, 4, 1, 'x', 0, 0, 0, 0, 0, 0, 0x10, 0) },
    { "block larger than the rest", "at most",
      RECORD(0, 0, 0, 0, 0, 0, 0x10, 4, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
             0xf0, 0) },
    { "block of nothing", "whole pages",
      RECORD(0, 0, 0, 0, 0, 0, 0x10, 4, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm', 0, 0, 0, 0, 0, 0, 0, 0) },
    { "petabytes", "at most", RECORD(0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 4) },
    { "zero page that is not", "filled with 0x01",
      RECORD(LIST, 0, 0, 0, 0, 0, 0, 0, 2, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm', 1) },
    { "cut in a page", "more bytes were expected",
      RECORD(LIST, 0, 0, 0, 0, 0, 0, 0, 8, 8, 't', 'e', 's', 't', '.', 'r', 'a', 'm', 1, 2, 3) },
};

static void hostile_records_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++) {
        struct ferry_error err = { 0 };
        struct ram_loader loader;
        struct placer *placer;
        struct side side;

        side_open(&side, 2);
        placer = placer_direct_new(&side.map, false, NULL);
        ram_loader_init(&loader, &ops, &side, placer);
        if (receive(&loader, hostiles[i].bytes, hostiles[i].count, &err) >= 0)
            fail_msg("%s was accepted", hostiles[i].what);
        if (!strstr(err.text, hostiles[i].expect))
            fail_msg("%s: '%s' does not say '%s'", hostiles[i].what, err.text, hostiles[i].expect);
        ram_loader_clear(&loader);
        placer_free(placer);
        side_close(&side);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pages_cross),
        cmocka_unit_test(hostile_records_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
