/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_deltas_test.c - memory that changes again and again arrives as it is, mostly as differences */
#include "placer.h"
#include "ram_deltas.h"
#include "ram_section.h"
#include "reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CACHED 16384 /* pages: what is kept of them fills the cache */
#define EDGE   40    /* pages at either end of the block that are used: they share places of the cache */
#define PAGES  (CACHED + EDGE)
#define ROUNDS 6

struct side {
    struct ram_map map;
    uint8_t *memory;
};

struct crossing {
    struct side from, to;
    struct ram_deltas *deltas;
    struct ram_loader loader;
    struct placer *placer;
    const struct ram_block *last;
};

static void side_open(struct side *side)
{
    struct ferry_block block = { .name = "test.ram",
                                 .length = PAGES * FERRY_PAGE_BYTES,
                                 .page_size = FERRY_PAGE_BYTES,
                                 .flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH };

    block.host = mmap(NULL, block.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(block.host != MAP_FAILED);
    side->memory = block.host;
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

static void crossing_open(struct crossing *crossing)
{
    memset(crossing, 0, sizeof(*crossing));
    side_open(&crossing->from);
    side_open(&crossing->to);
    crossing->deltas = ram_deltas_new(&crossing->from.map);
    crossing->placer = placer_direct_new(&crossing->to.map, false, NULL);
    assert_non_null(crossing->deltas);
    assert_non_null(crossing->placer);
    ram_loader_init(&crossing->loader, &ops, &crossing->to, crossing->placer);
}

static void crossing_close(struct crossing *crossing)
{
    ram_deltas_free(crossing->deltas);
    ram_loader_clear(&crossing->loader);
    placer_free(crossing->placer);
    side_close(&crossing->from);
    side_close(&crossing->to);
}

/* All pages from @first on go; returns what that took on the wire. */
static uint64_t send(struct crossing *crossing, bool list, uint64_t first)
{
    struct page_batch batch = { .block = crossing->from.map.blocks[0], .limit = BATCH_PAGES };
    struct ferry_channel *chan = ferry_channel_buffer_writer(64u << 20, NULL), *back;
    struct ferry_writer *writer = ferry_writer_new(chan, NULL);
    struct ferry_reader *reader;
    const void *data;
    size_t bytes;

    if (list)
        ram_put_blocks(writer, &crossing->from.map);
    for (; batch.count < EDGE; batch.count++)
        batch.pages[batch.count] = first + batch.count;
    batch_split_zero(&batch, NULL);
    ram_deltas_put_batch(crossing->deltas, writer, &crossing->last, &batch);
    ram_put_eos(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    ferry_writer_free(writer);
    data = ferry_channel_buffer_data(chan, &bytes);
    back = ferry_channel_buffer_reader(data, bytes, NULL);
    reader = ferry_reader_new(back, NULL);
    assert_int_equal(ram_get_body(&crossing->loader, reader), 0);
    assert_memory_equal(crossing->from.memory + (first << FERRY_PAGE_SHIFT),
                        crossing->to.memory + (first << FERRY_PAGE_SHIFT), EDGE * FERRY_PAGE_BYTES);
    ferry_reader_free(reader);
    ferry_channel_unref(back);
    ferry_channel_unref(chan);
    return bytes;
}

/* Some stay, some change in a word or wholly, some become zeros and something again. */
static void change(struct side *side, uint64_t first, unsigned round)
{
    for (unsigned i = 0; i < EDGE; i++) {
        uint8_t *page = side->memory + ((first + i) << FERRY_PAGE_SHIFT);

        if (round == 0 || i % 5 == 1)
            for (unsigned at = 0; at < FERRY_PAGE_BYTES; at++)
                page[at] = (uint8_t)(at * 31 + i + (at ^ round) % 251 + at / 256 * (round + 1) + 1);
        else if (i % 5 == 2)
            page[(round * 997) % FERRY_PAGE_BYTES] ^= 0xff;
        else if (i % 5 == 3)
            memset(page, round % 2 ? 0 : (int)(round + i), round % 2 ? FERRY_PAGE_BYTES : 100);
        else if (i % 5 == 4)
            page[FERRY_PAGE_BYTES - 1]++;
    }
}

static void what_changed_a_little_goes_as_a_difference(void **state)
{
    struct crossing crossing;

    crossing_open(&crossing);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t bytes;

        change(&crossing.from, 0, round);
        bytes = send(&crossing, round == 0, 0);
        assert_true((bytes > EDGE * FERRY_PAGE_BYTES) == (round == 0));
        assert_true(round == 0 || bytes < EDGE / 2 * FERRY_PAGE_BYTES);
    }
    assert_true(ram_deltas_count(crossing.deltas) >= (ROUNDS - 1) * EDGE / 2);
    crossing_close(&crossing);
}

static void what_has_not_changed_takes_nothing(void **state)
{
    struct crossing crossing;

    crossing_open(&crossing);
    change(&crossing.from, 0, 0);
    send(&crossing, true, 0);
    assert_int_equal(send(&crossing, false, 0), 8); /* EOS */
    assert_int_equal(ram_deltas_count(crossing.deltas), EDGE);
    crossing_close(&crossing);
}

/* Pages of both ends of the block take each other's places in the cache: none is a base for another. */
static void pages_that_share_a_place_are_not_mistaken(void **state)
{
    struct crossing crossing;

    crossing_open(&crossing);
    for (unsigned round = 0; round < ROUNDS; round++) {
        change(&crossing.from, 0, round);
        change(&crossing.from, CACHED, round);
        send(&crossing, round == 0, 0);
        send(&crossing, false, CACHED);
    }
    assert_int_equal(ram_deltas_count(crossing.deltas), 0);
    crossing_close(&crossing);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changed_a_little_goes_as_a_difference),
        cmocka_unit_test(what_has_not_changed_takes_nothing),
        cmocka_unit_test(pages_that_share_a_place_are_not_mistaken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
