/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_set_test.c - several trackers act as one, failures undo exactly what was begun, and ours choose themselves */
#include "tracker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BLOCKS 3
#define PAGES  70

/* A tracker of the embedder's that reports what the test put in. */
struct fake {
    int started[BLOCKS];
    unsigned starts;
    unsigned fail_start_at; /* the so many-th start fails; 0: none */
    int sync_rc;
    uint64_t report[2];
};

static unsigned fake_index(const struct ferry_block *block)
{
    return (unsigned)(block->name[0] - 'a');
}

static int fake_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    struct fake *fake = opaque;

    fake->started[fake_index(block)]++;
    if (++fake->starts == fake->fail_start_at)
        return ferry_error_set(err, -EIO, "no luck");
    return 0;
}

static int fake_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    struct fake *fake = opaque;

    if (fake->sync_rc < 0)
        return ferry_error_set(err, fake->sync_rc, "log lost");
    for (unsigned i = 0; i < 2; i++)
        bitmap[i] |= fake->report[i];
    return 0;
}

static void fake_stop(void *opaque, const struct ferry_block *block)
{
    struct fake *fake = opaque;

    fake->started[fake_index(block)]--;
}

static const struct ferry_tracker_ops cpu_ops = { "kvm-log", fake_start, fake_sync, fake_stop };
static const struct ferry_tracker_ops device_ops = { "device", fake_start, fake_sync, fake_stop };

static void map_open(struct ram_map *map)
{
    ram_map_init(map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        char name[2] = { (char)('a' + i), '\0' };
        struct ferry_block info = {
            .name = name,
            .length = PAGES * FERRY_PAGE_BYTES,
            .page_size = FERRY_PAGE_BYTES,
            .flags = FERRY_BLOCK_PRIVATE,
        };

        info.host = mmap(NULL, info.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(info.host, MAP_FAILED);
        assert_int_equal(ram_map_add(map, &info, NULL), 0);
    }
}

static void map_close(struct ram_map *map)
{
    for (unsigned i = 0; i < map->count; i++)
        munmap(map->blocks[i]->host, map->blocks[i]->info.length);
    ram_map_clear(map);
}

static void reports_of_several_trackers_are_joined(void **state)
{
    struct fake cpu = { .report = { 0x5, 0 } };
    struct fake device = { .report = { 0x6, UINT64_MAX } }; /* also bits past the last page */
    const struct tracker trackers[] = { { &cpu_ops, &cpu }, { &device_ops, &device } };
    struct ram_map map;
    struct tracker_set *set;
    struct dirty_map dirty;
    uint64_t changed = 99;

    map_open(&map);
    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    dirty_set_range(&dirty, 0, 1);
    set = tracker_set_new(&map, trackers, 2, NULL);
    assert_non_null(set);
    assert_string_equal(tracker_set_name(set), "kvm-log+device");
    assert_int_equal(tracker_set_sync(set, map.blocks[1], &dirty, &changed, NULL), 0);
    assert_int_equal(changed, 8); /* 1, 2 and 64 to 69; 0 was dirty before */
    assert_int_equal(dirty.count, 9);
    assert_true(dirty_test(&dirty, 1));
    assert_false(dirty_test(&dirty, 3));

    /* A report counts once: the next one starts from nothing. */
    dirty_clear_all(&dirty);
    memset(cpu.report, 0, sizeof(cpu.report));
    memset(device.report, 0, sizeof(device.report));
    assert_int_equal(tracker_set_sync(set, map.blocks[1], &dirty, &changed, NULL), 0);
    assert_int_equal(changed, 0);

    tracker_set_free(set);
    for (unsigned i = 0; i < BLOCKS; i++)
        assert_int_equal(cpu.started[i] | device.started[i], 0);
    assert_int_equal(cpu.starts, BLOCKS);
    dirty_clear_memory(&dirty);
    map_close(&map);
}

static void a_failed_start_undoes_what_was_begun(void **state)
{
    struct ram_map map;

    map_open(&map);
    for (unsigned at = 1; at <= BLOCKS; at++) {
        struct fake cpu = { 0 };
        struct fake device = { .fail_start_at = at };
        const struct tracker trackers[] = { { &cpu_ops, &cpu }, { &device_ops, &device } };
        struct ferry_error err = { 0 };

        assert_null(tracker_set_new(&map, trackers, 2, &err));
        assert_int_equal(err.errnum, -EIO);
        assert_string_equal(err.text, "device: no luck");
        assert_int_equal(device.starts, at);
        for (unsigned i = 0; i < BLOCKS; i++) {
            assert_int_equal(cpu.started[i], 0);
            assert_int_equal(device.started[i], 0); /* the failed one was stopped too */
        }
    }
    map_close(&map);
}

static void a_failed_sync_says_which_tracker(void **state)
{
    struct fake cpu = { 0 };
    struct fake device = { .sync_rc = -ENODEV };
    const struct tracker trackers[] = { { &cpu_ops, &cpu }, { &device_ops, &device } };
    struct ferry_error err = { 0 };
    struct ram_map map;
    struct tracker_set *set;
    struct dirty_map dirty;
    uint64_t changed;

    map_open(&map);
    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    set = tracker_set_new(&map, trackers, 2, NULL);
    assert_non_null(set);
    assert_int_equal(tracker_set_sync(set, map.blocks[0], &dirty, &changed, &err), -ENODEV);
    assert_string_equal(err.text, "device: log lost");
    tracker_set_free(set);
    tracker_set_free(NULL);
    dirty_clear_memory(&dirty);
    map_close(&map);
}

static void a_block_that_came_later_is_not_watched(void **state)
{
    struct fake cpu = { 0 };
    const struct tracker trackers[] = { { &cpu_ops, &cpu } };
    struct ferry_block info = {
        .name = "d", .length = PAGES * FERRY_PAGE_BYTES, .page_size = FERRY_PAGE_BYTES, .flags = FERRY_BLOCK_PRIVATE
    };
    struct ram_map map;
    struct tracker_set *set;
    struct dirty_map dirty;
    uint64_t changed;

    map_open(&map);
    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    set = tracker_set_new(&map, trackers, 1, NULL);
    assert_non_null(set);
    info.host = mmap(NULL, info.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(ram_map_add(&map, &info, NULL), 0);
    assert_int_equal(tracker_set_sync(set, ram_map_find(&map, "d"), &dirty, &changed, NULL), -EINVAL);
    tracker_set_free(set);
    dirty_clear_memory(&dirty);
    map_close(&map);
}

static void without_the_embedders_ours_is_chosen(void **state)
{
    struct ferry_error err = { 0 };
    struct ram_map map;
    struct tracker_set *set;
    struct dirty_map dirty;
    uint64_t changed;

    map_open(&map);
    set = tracker_set_new(&map, NULL, 0, &err);
    if (!set) {
        print_message("%s\n", err.text);
        map_close(&map);
        skip();
    }
    assert_true(!strcmp(tracker_set_name(set), "uffd-async") || !strcmp(tracker_set_name(set), "uffd-sync"));
    assert_int_equal(dirty_init(&dirty, PAGES), 0);
    *(volatile uint8_t *)(map.blocks[2]->host + 33 * FERRY_PAGE_BYTES) = 1;
    assert_int_equal(tracker_set_sync(set, map.blocks[2], &dirty, &changed, NULL), 0);
    assert_int_equal(changed, 1);
    assert_true(dirty_test(&dirty, 33));
    tracker_set_free(set);
    dirty_clear_memory(&dirty);
    map_close(&map);
}

/* The kernel itself may put its page of zeros where content was; giving the page back and looking at it does too. */
static void zeros_in_place_of_content_are_a_change(void **state)
{
    struct ferry_block block = {
        .name = "ram", .length = PAGES * FERRY_PAGE_BYTES, .page_size = FERRY_PAGE_BYTES, .flags = FERRY_BLOCK_PRIVATE
    };
    struct tracker tracker;
    volatile uint8_t *host;
    uint64_t bitmap[2] = { 0 };

    if (tracker_uffd_async_new(&tracker, NULL) < 0)
        skip();
    block.host = mmap(NULL, block.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(block.host, MAP_FAILED);
    host = block.host;
    host[3 * FERRY_PAGE_BYTES] = 1; /* content since before the start */
    assert_int_equal(tracker.ops->start(tracker.opaque, &block, NULL), 0);
    host[65 * FERRY_PAGE_BYTES] = 1; /* content since a report */
    assert_int_equal(tracker.ops->sync(tracker.opaque, &block, bitmap, NULL), 0);
    memset(bitmap, 0, sizeof(bitmap));
    assert_int_equal(madvise(block.host, block.length, MADV_DONTNEED), 0);
    for (unsigned page = 0; page < PAGES; page++)
        assert_int_equal(host[page * FERRY_PAGE_BYTES], 0);
    assert_int_equal(tracker.ops->sync(tracker.opaque, &block, bitmap, NULL), 0);
    assert_int_equal(bitmap[0], 1u << 3);
    assert_int_equal(bitmap[1], 1u << 1);
    tracker.ops->stop(tracker.opaque, &block);
    tracker_uffd_async_free(&tracker);
    munmap(block.host, block.length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_of_several_trackers_are_joined),
        cmocka_unit_test(a_failed_start_undoes_what_was_begun),
        cmocka_unit_test(a_failed_sync_says_which_tracker),
        cmocka_unit_test(a_block_that_came_later_is_not_watched),
        cmocka_unit_test(without_the_embedders_ours_is_chosen),
        cmocka_unit_test(zeros_in_place_of_content_are_a_change),
    };

    return cmocka_run_group_tests_name("tracker_set", tests, NULL, NULL);
}
