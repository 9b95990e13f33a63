/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_map_test.c - blocks that are sound are found by name; all others are refused with a reason */
#include "ram_map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Never dereferenced: the map only notes where memory lies. */
#define PLACE(n) ((void *)((uintptr_t)0x100000000 + (uintptr_t)(n)*0x10000000))

static struct ferry_block sound(const char *name, unsigned place)
{
    return (struct ferry_block){
        .name = name, .host = PLACE(place), .length = 16 * 4096, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE
    };
}

static void blocks_are_found_by_name(void **state)
{
    struct ram_map map;
    char name[16];
    struct ram_block *first;

    ram_map_init(&map);
    assert_null(ram_map_find(&map, "ram"));
    for (unsigned i = 0; i < 100; i++) {
        struct ferry_block info = sound(name, i);

        snprintf(name, sizeof(name), "block%u", i);
        assert_int_equal(ram_map_add(&map, &info, NULL), 0);
        if (i == 0)
            first = map.blocks[0];
    }
    strcpy(name, "changed"); /* the map has its own copies */
    assert_int_equal(map.count, 100);
    assert_int_equal(map.total_bytes, 100 * 16 * 4096);
    assert_ptr_equal(ram_map_find(&map, "block0"), first);
    assert_ptr_equal(ram_map_find(&map, "block77"), map.blocks[77]);
    assert_int_equal(map.blocks[77]->index, 77);
    assert_int_equal(map.blocks[77]->pages, 16);
    assert_ptr_equal(map.blocks[77]->host, PLACE(77));
    assert_null(ram_map_find(&map, "block100"));
    assert_null(ram_map_find(&map, ""));
    ram_map_clear(&map);
    assert_int_equal(map.count, 0);
    ram_map_clear(&map);
}

static void expect_refused(struct ram_map *map, const struct ferry_block *info, int errnum, const char *text)
{
    struct ferry_error err = { 0 };
    unsigned count = map->count;

    assert_int_equal(ram_map_add(map, info, &err), errnum);
    assert_int_equal(err.errnum, errnum);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
    assert_int_equal(map->count, count);
    assert_int_equal(ram_map_add(map, info, NULL), errnum);
}

static void unsound_blocks_are_refused(void **state)
{
    struct ram_map map;
    struct ferry_block info = sound("ram", 0);
    struct ferry_block bad;
    char name[FERRY_BLOCK_NAME_MAX + 2];

    ram_map_init(&map);
    assert_int_equal(ram_map_add(&map, &info, NULL), 0);

    bad = sound("ram", 1);
    expect_refused(&map, &bad, -EEXIST, "'ram'");
    bad = sound(NULL, 1);
    expect_refused(&map, &bad, -EINVAL, "name");
    bad = sound("", 1);
    expect_refused(&map, &bad, -EINVAL, "name");
    memset(name, 'n', sizeof(name));
    name[FERRY_BLOCK_NAME_MAX + 1] = '\0';
    bad = sound(name, 1);
    expect_refused(&map, &bad, -EINVAL, "name");
    bad = sound("x", 1);
    bad.host = NULL;
    expect_refused(&map, &bad, -EINVAL, "no memory");
    bad.host = (char *)PLACE(1) + 8;
    expect_refused(&map, &bad, -EINVAL, "no memory");
    bad.host = (void *)(UINTPTR_MAX - 4095);
    expect_refused(&map, &bad, -EINVAL, "no memory");
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t sizes[] = { 0, 512, 12288 };

        bad = sound("x", 1);
        bad.page_size = sizes[i];
        expect_refused(&map, &bad, -EINVAL, "page size");
    }
    bad = sound("x", 1);
    bad.length = 0;
    expect_refused(&map, &bad, -EINVAL, "length");
    bad.length = 4097;
    expect_refused(&map, &bad, -EINVAL, "length");
    bad.length = FERRY_RAM_BYTES_MAX + 4096;
    expect_refused(&map, &bad, -EINVAL, "limit");
    bad.length = FERRY_RAM_BYTES_MAX;
    bad.host = PLACE(1);
    expect_refused(&map, &bad, -ENOSPC, "limit");
    bad = sound("x", 1);
    bad.flags = 1u << 20;
    expect_refused(&map, &bad, -EINVAL, "flags");
    bad = sound("x", 0);
    bad.host = (char *)PLACE(0) + 15 * 4096;
    expect_refused(&map, &bad, -EINVAL, "overlaps block 'ram'");
    bad.host = (char *)PLACE(0) + 16 * 4096;
    assert_int_equal(ram_map_add(&map, &bad, NULL), 0);
    ram_map_clear(&map);
}

static void the_limits_themselves_are_legal(void **state)
{
    struct ram_map map;
    char name[FERRY_BLOCK_NAME_MAX + 1] = { 0 };
    struct ferry_block info = sound(name, 0);

    ram_map_init(&map);
    memset(name, 'n', sizeof(name));
    name[FERRY_BLOCK_NAME_MAX] = '\0';
    assert_int_equal(ram_map_add(&map, &info, NULL), 0);
    ram_map_clear(&map);
    for (unsigned i = 0; i < FERRY_BLOCKS_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        info.host = (char *)PLACE(0) + (uintptr_t)i * info.length;
        assert_int_equal(ram_map_add(&map, &info, NULL), 0);
    }
    info = sound("one more", 50);
    expect_refused(&map, &info, -ENOSPC, "4096 blocks");
    ram_map_clear(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_found_by_name),
        cmocka_unit_test(unsound_blocks_are_refused),
        cmocka_unit_test(the_limits_themselves_are_legal),
    };

    return cmocka_run_group_tests_name("ram_map", tests, NULL, NULL);
}
