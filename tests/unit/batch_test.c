/* SPDX-License-Identifier: BSD-3-Clause */
/* batch_test.c - a batch takes dirty pages in order, each once, and sorts the zero ones to its end */
#include "batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 400

static _Alignas(4096) uint8_t ram[PAGES * FERRY_PAGE_BYTES];
static struct ram_block block = { .host = ram, .pages = PAGES };

static void taking_finds_each_dirty_page_once_and_in_order(void **state)
{
    struct page_batch batch;
    struct dirty_map dirty;
    uint64_t expected[PAGES];
    uint64_t from = 0;
    unsigned count = 0, seen = 0, batches = 0, got;

    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    for (uint64_t page = 0; page < PAGES; page++) {
        if (page % 7 != 3 && page % 7 != 4 && page < 250)
            continue;
        dirty_set_range(&dirty, page, 1);
        expected[count++] = page;
    }
    for (;; batches++) {
        batch = (struct page_batch){ .block = &block, .limit = BATCH_PAGES };
        assert_ptr_equal(batch.block, &block);
        got = batch_fill(&batch, &dirty, &from, UINT64_MAX);
        assert_int_equal(got, batch.count);
        if (!batch.count)
            break;
        assert_memory_equal(batch.pages, expected + seen, batch.count * sizeof(batch.pages[0]));
        seen += batch.count;
        assert_int_equal(from, expected[seen - 1] + 1);
        assert_int_equal(dirty.count, count - seen);
    }
    assert_int_equal(seen, count);
    assert_int_equal(batches, (count + BATCH_PAGES - 1) / BATCH_PAGES);
    dirty_clear_memory(&dirty);
}

static void filling_starts_at_from_and_stops_when_full(void **state)
{
    struct page_batch batch;
    struct dirty_map dirty;
    uint64_t from = 100;

    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    dirty_set_all(&dirty);
    batch = (struct page_batch){ .block = &block, .limit = BATCH_PAGES };
    assert_int_equal(batch_fill(&batch, &dirty, &from, UINT64_MAX), BATCH_PAGES);
    assert_int_equal(batch.pages[0], 100);
    assert_int_equal(batch.pages[127], 227);
    assert_int_equal(from, 228);
    assert_int_equal(dirty.count, PAGES - BATCH_PAGES);
    /* A full batch takes no more. */
    assert_int_equal(batch_fill(&batch, &dirty, &from, UINT64_MAX), 0);
    assert_int_equal(from, 228);
    assert_true(dirty_test(&dirty, 228));
    dirty_clear_memory(&dirty);
}

static void expect_ascending(const struct page_batch *batch, unsigned from, unsigned to)
{
    for (unsigned i = from + 1; i < to; i++)
        assert_true(batch->pages[i - 1] < batch->pages[i]);
}

static void splitting_keeps_order_in_both_parts(void **state)
{
    for (unsigned seed = 0; seed < 200; seed++) {
        struct page_batch batch;
        struct dirty_map dirty;
        uint64_t from = 0;
        unsigned normal = 0;

        srandom(seed);
        memset(ram, 0, sizeof(ram));
        assert_int_equal(dirty_init(&dirty, PAGES), 0);
        for (unsigned i = 0; i < seed; i++)
            dirty_set_range(&dirty, (uint64_t)random() % PAGES, 1);
        batch = (struct page_batch){ .block = &block, .limit = BATCH_PAGES };
        batch_fill(&batch, &dirty, &from, UINT64_MAX);
        for (unsigned i = 0; i < batch.count; i++) {
            if (random() % 4 >= (long)seed % 5)
                continue;
            ram[batch.pages[i] * FERRY_PAGE_BYTES + (unsigned)random() % FERRY_PAGE_BYTES] = 1;
            normal++;
        }
        batch_split_zero(&batch, NULL);
        assert_int_equal(batch.normal, normal);
        expect_ascending(&batch, 0, batch.normal);
        expect_ascending(&batch, batch.normal, batch.count);
        for (unsigned i = 0; i < batch.count; i++) {
            const uint8_t *page = ram + batch.pages[i] * FERRY_PAGE_BYTES;
            bool zero = page[0] == 0 && memcmp(page, page + 1, FERRY_PAGE_BYTES - 1) == 0;

            assert_int_equal(zero, i >= batch.normal);
        }
        dirty_clear_memory(&dirty);
    }
}

static void pages_known_to_be_untouched_are_not_read(void **state)
{
    struct page_batch batch;
    struct dirty_map dirty, populated;
    uint64_t from = 0;

    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    assert_int_equal(dirty_init(&populated, PAGES), 0);
    memset(ram, 0, sizeof(ram));
    ram[5 * FERRY_PAGE_BYTES] = 1; /* has content; if it were read, it would be found */
    ram[6 * FERRY_PAGE_BYTES] = 1;
    dirty_set_range(&dirty, 4, 4);
    dirty_set_range(&populated, 6, 1);
    dirty_set_range(&populated, 7, 1);
    batch = (struct page_batch){ .block = &block, .limit = BATCH_PAGES };
    batch_fill(&batch, &dirty, &from, UINT64_MAX);
    batch_split_zero(&batch, &populated);
    assert_int_equal(batch.normal, 1);
    assert_int_equal(batch.pages[0], 6);
    assert_int_equal(batch.pages[1], 4);
    assert_int_equal(batch.pages[2], 5);
    assert_int_equal(batch.pages[3], 7);
    dirty_clear_memory(&dirty);
    dirty_clear_memory(&populated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taking_finds_each_dirty_page_once_and_in_order),
        cmocka_unit_test(filling_starts_at_from_and_stops_when_full),
        cmocka_unit_test(splitting_keeps_order_in_both_parts),
        cmocka_unit_test(pages_known_to_be_untouched_are_not_read),
    };

    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
