/* SPDX-License-Identifier: BSD-3-Clause */
/* hot_test.c - pages written in two windows wait, are counted, and are never lost */
#include "hot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 200

struct fixture {
    struct ram_map map;
    struct hot_pages *hot;
    struct dirty_map dirty, written;
};

static int make(void **state)
{
    static uint8_t memory[(PAGES + 1) * FERRY_PAGE_BYTES] __attribute__((aligned(FERRY_PAGE_BYTES)));
    const struct ferry_block block = {
        .name = "ram", .host = memory, .length = PAGES * FERRY_PAGE_BYTES, .page_size = FERRY_PAGE_BYTES
    };
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    ram_map_init(&fixture->map);
    assert_int_equal(ram_map_add(&fixture->map, &block, NULL), 0);
    fixture->hot = hot_new(&fixture->map, NULL);
    assert_non_null(fixture->hot);
    assert_int_equal(dirty_init(&fixture->dirty, PAGES), 0);
    return dirty_init(&fixture->written, PAGES);
}

static int unmake(void **state)
{
    struct fixture *fixture = *state;

    hot_free(fixture->hot);
    dirty_clear_memory(&fixture->dirty);
    dirty_clear_memory(&fixture->written);
    ram_map_clear(&fixture->map);
    free(fixture);
    return 0;
}

/* A sync finds so many pages written from @first on. */
static void write_pages(struct fixture *fixture, uint64_t first, uint64_t count)
{
    dirty_clear_all(&fixture->written);
    dirty_set_range(&fixture->written, first, count);
    hot_written(fixture->hot, 0, &fixture->written, &fixture->dirty);
    dirty_or(&fixture->dirty, fixture->written.words);
}

static void once_is_not_hot_twice_is(void **state)
{
    struct fixture *fixture = *state;

    write_pages(fixture, 60, 10);
    hot_judge(fixture->hot);
    assert_int_equal(hot_count(fixture->hot, &fixture->dirty), 0);
    assert_int_equal(hot_hold(fixture->hot, &fixture->dirty), 0);
    write_pages(fixture, 64, 20);
    hot_judge(fixture->hot);
    assert_int_equal(hot_count(fixture->hot, &fixture->dirty), 6);
    assert_int_equal(hot_hold(fixture->hot, &fixture->dirty), 6);
    assert_int_equal(fixture->dirty.count, 24 - 6);
    assert_false(dirty_test(&fixture->dirty, 64));
    assert_true(dirty_test(&fixture->dirty, 63));
    assert_true(dirty_test(&fixture->dirty, 70));
}

static void what_waited_is_dirty_again_after_a_sync(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        write_pages(fixture, 0, PAGES);
        hot_judge(fixture->hot);
    }
    assert_int_equal(hot_hold(fixture->hot, &fixture->dirty), PAGES);
    assert_int_equal(fixture->dirty.count, 0);
    write_pages(fixture, 150, 1);
    assert_int_equal(fixture->dirty.count, PAGES);
    assert_int_equal(hot_saved(fixture->hot), 1); /* the others would have been sent once, before or now */
}

static void short_rounds_are_one_window(void **state)
{
    struct fixture *fixture = *state;

    write_pages(fixture, 10, 1);
    hot_judge(fixture->hot);
    write_pages(fixture, 11, 1);
    write_pages(fixture, 10, 1);
    write_pages(fixture, 12, 1);
    hot_judge(fixture->hot);
    assert_int_equal(hot_count(fixture->hot, &fixture->dirty), 1);
    write_pages(fixture, 13, 1);
    assert_int_equal(hot_count(fixture->hot, &fixture->dirty), 1); /* until the next window is over */
    hot_judge(fixture->hot);
    assert_int_equal(hot_count(fixture->hot, &fixture->dirty), 0);
}

static void what_is_not_written_any_more_does_not_wait_for_the_switch(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        write_pages(fixture, 0, 10);
        hot_judge(fixture->hot);
    }
    hot_hold(fixture->hot, &fixture->dirty);
    write_pages(fixture, 4, 2);
    hot_cool(fixture->hot);
    assert_int_equal(hot_hold(fixture->hot, &fixture->dirty), 2);
    assert_int_equal(fixture->dirty.count, 8);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(once_is_not_hot_twice_is, make, unmake),
        cmocka_unit_test_setup_teardown(what_waited_is_dirty_again_after_a_sync, make, unmake),
        cmocka_unit_test_setup_teardown(what_is_not_written_any_more_does_not_wait_for_the_switch, make, unmake),
        cmocka_unit_test_setup_teardown(short_rounds_are_one_window, make, unmake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
