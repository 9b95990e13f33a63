/* SPDX-License-Identifier: BSD-3-Clause */
/* placer_test.c - data goes to guest memory itself; zeros are written only where something else is */
#include "placer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGES UINT64_C(1024)
#define BYTES (PAGES * FERRY_PAGE_BYTES)

struct target {
    struct ram_map map;
    struct placer *placer;
    struct ram_block *block;
};

static struct ram_block *add_block(struct ram_map *map, const char *name, unsigned flags)
{
    struct ferry_block info = { .name = name, .length = BYTES, .page_size = FERRY_PAGE_BYTES, .flags = flags };

    info.host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(info.host, MAP_FAILED);
    madvise(info.host, BYTES, MADV_NOHUGEPAGE);
    assert_int_equal(ram_map_add(map, &info, NULL), 0);
    return ram_map_find(map, name);
}

static void target_open(struct target *target, unsigned flags)
{
    ram_map_init(&target->map);
    target->block = add_block(&target->map, "ram", flags | FERRY_BLOCK_PRIVATE);
    target->placer = placer_direct_new(&target->map, false, NULL);
    assert_non_null(target->placer);
}

static void target_close(struct target *target)
{
    placer_free(target->placer);
    for (unsigned i = 0; i < target->map.count; i++)
        munmap(target->map.blocks[i]->host, BYTES);
    ram_map_clear(&target->map);
}

static void place(struct target *target, uint64_t page, uint64_t count, int byte)
{
    uint64_t got = 0;
    uint8_t *to = target->placer->ops->prepare(target->placer, target->block, page, count, &got);

    assert_ptr_equal(to, target->block->host + page * FERRY_PAGE_BYTES);
    assert_int_equal(got, count);
    memset(to, byte, count * FERRY_PAGE_BYTES);
    assert_int_equal(target->placer->ops->commit(target->placer, target->block, page, count, NULL), 0);
}

static void zero(struct target *target, uint64_t page, uint64_t count)
{
    assert_int_equal(target->placer->ops->zero(target->placer, target->block, page, count, NULL), 0);
}

static bool page_is(const struct target *target, uint64_t page, uint8_t byte)
{
    const uint8_t *at = target->block->host + page * FERRY_PAGE_BYTES;

    return at[0] == byte && memcmp(at, at + 1, FERRY_PAGE_BYTES - 1) == 0;
}

static uint64_t populated_count(const struct target *target)
{
    unsigned char present[PAGES];
    uint64_t count = 0;

    assert_int_equal(mincore(target->block->host, BYTES, present), 0);
    for (uint64_t page = 0; page < PAGES; page++)
        count += present[page] & 1;
    return count;
}

static void data_arrives_in_place(void **state)
{
    struct target target;

    target_open(&target, FERRY_BLOCK_FRESH);
    place(&target, 3, 1, 0x55);
    place(&target, 100, 200, 0x66);
    assert_true(page_is(&target, 3, 0x55));
    assert_true(page_is(&target, 100, 0x66));
    assert_true(page_is(&target, 299, 0x66));
    assert_int_equal(populated_count(&target), 201);
    target_close(&target);
}

static void zeros_for_fresh_memory_touch_nothing(void **state)
{
    struct target target;

    target_open(&target, FERRY_BLOCK_FRESH);
    zero(&target, 0, PAGES);
    zero(&target, 7, 1);
    assert_int_equal(populated_count(&target), 0);
    target_close(&target);
}

static void zeros_clear_what_was_written(void **state)
{
    struct target target;

    target_open(&target, FERRY_BLOCK_FRESH);
    place(&target, 60, 10, 0x77);
    zero(&target, 62, 70);
    assert_true(page_is(&target, 61, 0x77));
    for (uint64_t page = 62; page < 70; page++)
        assert_true(page_is(&target, page, 0));
    assert_int_equal(populated_count(&target), 10);
    place(&target, 62, 1, 0x78);
    assert_true(page_is(&target, 62, 0x78));
    zero(&target, 60, 10);
    assert_true(page_is(&target, 62, 0));
    target_close(&target);
}

static void zeros_clear_memory_that_was_not_fresh(void **state)
{
    struct target target;

    target_open(&target, 0);
    target.block->host[5 * FERRY_PAGE_BYTES + 4095] = 1;
    zero(&target, 4, 3);
    assert_true(page_is(&target, 5, 0));
    target_close(&target);
}

static void a_wrong_guess_leaves_no_garbage(void **state)
{
    struct target target;
    uint64_t got;

    target_open(&target, FERRY_BLOCK_FRESH);
    assert_true(placer_untouched(target.placer, target.block, 10));
    /* Read ahead into pages 10 to 13, and never committed: they were another page's bytes. */
    memset(target.placer->ops->prepare(target.placer, target.block, 10, 4, &got), 0x99, 4 * FERRY_PAGE_BYTES);
    zero(&target, 10, 2);
    place(&target, 12, 1, 0x42);
    zero(&target, 13, 1);
    assert_true(page_is(&target, 10, 0));
    assert_true(page_is(&target, 11, 0));
    assert_true(page_is(&target, 12, 0x42));
    assert_true(page_is(&target, 13, 0));
    target_close(&target);
}

static void nothing_that_arrived_may_be_guessed_at(void **state)
{
    struct target target;

    target_open(&target, FERRY_BLOCK_FRESH);
    place(&target, 63, 2, 1);
    zero(&target, 70, 5);
    for (uint64_t page = 0; page < PAGES; page++) {
        bool touched = page == 63 || page == 64 || (page >= 70 && page < 75);

        assert_int_equal(placer_untouched(target.placer, target.block, page), !touched);
    }
    target_close(&target);
}

static void blocks_may_come_later(void **state)
{
    struct target target;

    target_open(&target, FERRY_BLOCK_FRESH);
    place(&target, 1, 1, 1);
    for (unsigned i = 0; i < 20; i++) {
        char name[] = { 'b', (char)('a' + i), '\0' };

        target.block = add_block(&target.map, name, FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH);
        assert_true(placer_untouched(target.placer, target.block, 1));
        place(&target, 1, 1, 2);
        assert_false(placer_untouched(target.placer, target.block, 1));
        zero(&target, 0, 3);
        assert_true(page_is(&target, 1, 0));
    }
    target_close(&target);
}

struct worker {
    pthread_t thread;
    struct target *target;
    uint64_t first;
};

/* Every fourth page: neighbours share a word of the notes. */
static void *worker_main(void *opaque)
{
    struct worker *worker = opaque;

    for (uint64_t page = worker->first; page < PAGES; page += 4)
        place(worker->target, page, 1, 0xee);
    for (uint64_t page = worker->first; page < PAGES; page += 8)
        zero(worker->target, page, 1);
    return NULL;
}

static void threads_on_different_pages_do_not_disturb_each_other(void **state)
{
    struct target target;
    struct worker workers[4];

    target_open(&target, FERRY_BLOCK_FRESH);
    /* A block that no one met before, so that they also meet there. */
    target.block = add_block(&target.map, "later", FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH);
    for (uint64_t i = 0; i < 4; i++) {
        workers[i] = (struct worker){ .target = &target, .first = i };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint64_t page = 0; page < PAGES; page++) {
        assert_false(placer_untouched(target.placer, target.block, page));
        assert_true(page_is(&target, page, page % 8 < 4 ? 0 : 0xee));
    }
    target_close(&target);
}

static void it_works_with_a_helper_too(void **state)
{
    struct target target;
    struct placer *plain;

    target_open(&target, FERRY_BLOCK_FRESH);
    plain = target.placer;
    target.placer = placer_direct_new(&target.map, true, NULL);
    assert_non_null(target.placer);
    placer_free(plain);
    for (uint64_t page = 0; page < PAGES; page += 16)
        place(&target, page, 16, (int)(page / 16) | 1);
    for (uint64_t page = 0; page < PAGES; page++)
        assert_true(page_is(&target, page, (uint8_t)(page / 16 | 1)));
    target_close(&target);
    placer_free(NULL);
}

/* A source that goes on sending while its destination goes over to postcopy. */
static void it_may_be_stilled_while_pages_arrive(void **state)
{
    for (unsigned turn = 0; turn < 20; turn++) {
        struct target target;
        struct worker workers[2];

        target_open(&target, FERRY_BLOCK_FRESH);
        placer_free(target.placer);
        target.placer = placer_direct_new(&target.map, true, NULL);
        assert_non_null(target.placer);
        for (uint64_t i = 0; i < 2; i++) {
            workers[i] = (struct worker){ .target = &target, .first = i };
            assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
        }
        placer_direct_still(target.placer);
        placer_direct_still(target.placer);
        for (unsigned i = 0; i < 2; i++)
            pthread_join(workers[i].thread, NULL);
        for (uint64_t page = 0; page < PAGES; page++)
            assert_true(page_is(&target, page, page % 4 > 1 || page % 8 < 4 ? 0 : 0xee));
        target_close(&target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_arrives_in_place),
        cmocka_unit_test(zeros_for_fresh_memory_touch_nothing),
        cmocka_unit_test(zeros_clear_what_was_written),
        cmocka_unit_test(zeros_clear_memory_that_was_not_fresh),
        cmocka_unit_test(a_wrong_guess_leaves_no_garbage),
        cmocka_unit_test(nothing_that_arrived_may_be_guessed_at),
        cmocka_unit_test(blocks_may_come_later),
        cmocka_unit_test(threads_on_different_pages_do_not_disturb_each_other),
        cmocka_unit_test(it_works_with_a_helper_too),
        cmocka_unit_test(it_may_be_stilled_while_pages_arrive),
    };

    return cmocka_run_group_tests_name("placer", tests, NULL, NULL);
}
