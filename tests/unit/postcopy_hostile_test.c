/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_hostile_test.c - pages that may not come are refused, each with its block and page, and nothing is installed
 */
#include "postcopy_fixture.h"

#include "userfault.h"
#include "userfault_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST UINT64_C(512) /* pages in a huge page */

static struct placer *open_scene(struct postcopy_scene *scene, enum memory_kind kind, uint64_t host_pages,
                                 uint64_t missing)
{
    struct placer *placer;

    postcopy_scene_open(scene, kind, host_pages * (kind >= MEMORY_HUGE ? HOST : 1));
    assert_int_equal(postcopy_ram_discard(scene->ram, scene->block, 0, missing * scene->host_pages, NULL), 0);
    assert_int_equal(postcopy_ram_listen(scene->ram, NULL), 0);
    placer = postcopy_ram_placer(scene->ram, NULL);
    assert_non_null(placer);
    return placer;
}

static void close_scene(struct postcopy_scene *scene, struct placer *placer)
{
    placer_free(placer);
    postcopy_scene_close(scene);
}

static void refused(int ret, const struct ferry_error *err, const char *where)
{
    assert_int_equal(ret, -EPROTO);
    assert_int_equal(err->code, FERRY_E_BAD_PAGE_RECORD);
    assert_string_equal(err->object, "ram");
    if (!strstr(err->text, where))
        fail_msg("'%s' does not say '%s'", err->text, where);
}

static void only_whole_pages_of_the_block_are_dropped(void **state)
{
    static const uint64_t wrong[][2] = { { 0, 9 }, { 8, 1 }, { 9, 0 }, { 1, UINT64_MAX }, { UINT64_MAX, 2 } };
    static struct postcopy_scene scene;
    struct ferry_error err;

    postcopy_scene_open(&scene, MEMORY_PRIVATE, 8);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(postcopy_ram_discard(scene.ram, scene.block, wrong[i][0], wrong[i][1], &err), &err, "block 'ram'");
    assert_int_equal(postcopy_ram_missing(scene.ram), 0);
    assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, 8, 0, NULL), 0);
    assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, 2, 3, NULL), 0);
    assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, 3, 3, NULL), 0);
    assert_int_equal(postcopy_ram_missing(scene.ram), 4);
    assert_int_equal(postcopy_ram_listen(scene.ram, NULL), 0);
    refused(postcopy_ram_discard(scene.ram, scene.block, 0, 1, &err), &err, "block 'ram'");
    assert_int_equal(postcopy_ram_listen(scene.ram, &err), -EPROTO);
    postcopy_scene_close(&scene);
}

static void a_page_before_listen(void **state)
{
    static struct postcopy_scene scene;
    struct ferry_error err;
    struct placer *placer;

    postcopy_scene_open(&scene, MEMORY_PRIVATE, 8);
    assert_int_equal(postcopy_ram_discard(scene.ram, scene.block, 0, 8, NULL), 0);
    placer = postcopy_ram_placer(scene.ram, NULL);
    refused(page_arrives(&scene, placer, 3, 1, 2, &err), &err, "page 3");
    refused(page_arrives(&scene, placer, 4, 1, 0, &err), &err, "page 4");
    assert_int_equal(postcopy_ram_missing(scene.ram), 8);
    close_scene(&scene, placer);
}

static void a_page_that_was_never_dropped(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_PRIVATE, 8, 4);
    struct ferry_error err;

    page_write(scene_page(&scene, 5), 5, 1);
    refused(page_arrives(&scene, placer, 5, 1, 2, &err), &err, "page 5");
    refused(page_arrives(&scene, placer, 3, 3, 2, &err), &err, "page 4");
    refused(page_arrives(&scene, placer, 6, 1, 0, &err), &err, "page 6");
    assert_true(page_is(scene_page(&scene, 5), 5, 1));
    assert_int_equal(postcopy_ram_missing(scene.ram), 3);
    close_scene(&scene, placer);
}

static void pages_outside_of_the_block_or_not_prepared(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_PRIVATE, 8, 8);
    struct ferry_error err;
    uint64_t got;

    refused(placer->ops->zero(placer, scene.block, 8, 1, &err), &err, "page 8");
    refused(placer->ops->zero(placer, scene.block, 7, UINT64_MAX, &err), &err, "page 7");
    refused(placer->ops->commit(placer, scene.block, UINT64_MAX, 1, &err), &err, "not in its block");
    refused(placer->ops->commit(placer, scene.block, 2, 1, &err), &err, "page 2");
    placer->ops->prepare(placer, scene.block, 2, 1, &got);
    refused(placer->ops->commit(placer, scene.block, 2, 2, &err), &err, "page 3");
    close_scene(&scene, placer);
}

static void a_batch_has_its_bound(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_PRIVATE, 600, 600);
    struct ferry_error err;
    uint64_t got;

    assert_non_null(placer->ops->prepare(placer, scene.block, 0, 600, &got));
    assert_int_equal(got, 512);
    assert_non_null(placer->ops->prepare(placer, scene.block, 512, 88, &got));
    refused(placer->ops->commit(placer, scene.block, 512, 1, &err), &err, "page 512");
    /* Many runs of one batch, made the guest's in their order and in another. */
    for (uint64_t page = 0; page < 512; page += 2)
        page_write(placer->ops->prepare(placer, scene.block, page, 1, &got), page, 2);
    for (uint64_t page = 0; page < 512; page += 2)
        assert_int_equal(placer->ops->commit(placer, scene.block, 510 - page, 1, NULL), 0);
    for (uint64_t page = 0; page < 512; page += 2)
        assert_true(page_is(scene_page(&scene, page), page, 2));
    close_scene(&scene, placer);
}

static void a_wrong_guess_is_no_harm(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_PRIVATE, 64, 64);
    uint64_t got;
    uint8_t *to;

    /* 16 pages are handed out, 3 come; then others, and the rest after all. */
    to = placer->ops->prepare(placer, scene.block, 0, 16, &got);
    assert_int_equal(got, 16);
    memset(to, 0xee, 16 * FERRY_PAGE_BYTES);
    for (uint64_t page = 0; page < 3; page++)
        page_write(to + page * FERRY_PAGE_BYTES, page, 2);
    assert_int_equal(placer->ops->commit(placer, scene.block, 0, 3, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, 40, 2, 2, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, 3, 13, 2, NULL), 0);
    for (uint64_t page = 0; page < 16; page++)
        assert_true(page_is(scene_page(&scene, page), page, 2));
    close_scene(&scene, placer);
}

/* ---- huge pages ---------------------------------------------------------------------------------------------------
 */

static void half_a_huge_page_is_none(void **state)
{
    static struct postcopy_scene scene;
    static struct ferry_error err;
    struct placer *placer = open_scene(&scene, MEMORY_HUGE, 4, 4);

    refused(postcopy_ram_discard(scene.ram, scene.block, HOST / 2, HOST, &err), &err, "whole pages");
    assert_int_equal(page_arrives(&scene, placer, 0, HOST - 1, 2, NULL), 0);
    assert_int_equal(postcopy_ram_missing(scene.ram), 4 * HOST);
    assert_true(placer_untouched(placer, scene.block, HOST - 1));
    assert_false(placer_untouched(placer, scene.block, HOST - 2));
    assert_int_equal(page_arrives(&scene, placer, HOST - 1, 1, 2, NULL), 0);
    assert_int_equal(postcopy_ram_missing(scene.ram), 3 * HOST);
    for (uint64_t page = 0; page < HOST; page++)
        assert_true(page_is(scene_page(&scene, page), page, 2));
    assert_int_equal(postcopy_ram_finish(scene.ram, &err), -EPROTO);
    assert_int_equal(err.code, FERRY_E_PAGES_MISSING);
    assert_non_null(strstr(err.text, "1536 pages did not come, the first is page 512 of block 'ram'"));
    close_scene(&scene, placer);
}

/* Why a guest waits for all of a huge page.  Should a kernel take parts one day, this is where it shows. */
static void the_kernel_takes_huge_pages_only_whole(void **state)
{
    static struct postcopy_scene scene;
    static uint8_t part[FERRY_PAGE_BYTES];
    struct ferry_block *info;
    uint64_t done;
    int fd;

    postcopy_scene_open(&scene, MEMORY_HUGE, HOST);
    info = &scene.block->info;
    fd = userfault_open(USERFAULT_KERNEL_TOO, 0, NULL);
    assert_int_equal(userfault_register(fd, info, UFFDIO_REGISTER_MODE_MISSING, 0, NULL), 0);
    assert_int_equal(userfault_copy(fd, (uintptr_t)info->host, part, sizeof(part), &done), -EINVAL);
    assert_int_equal(done, 0);
    close(fd);
    postcopy_scene_close(&scene);
}

static void a_piece_twice(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_HUGE, 2, 2);
    struct ferry_error err;

    assert_int_equal(page_arrives(&scene, placer, 0, 10, 2, NULL), 0);
    refused(page_arrives(&scene, placer, 9, 2, 2, &err), &err, "page 9");
    assert_int_equal(page_arrives(&scene, placer, 10, 10, 0, NULL), 0);
    refused(page_arrives(&scene, placer, 12, 1, 0, &err), &err, "page 12");
    assert_int_equal(postcopy_ram_missing(scene.ram), 2 * HOST);
    close_scene(&scene, placer);
}

static void another_huge_page_before_this_one_is_complete(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_HUGE, 4, 4);
    struct ferry_error err;

    assert_int_equal(page_arrives(&scene, placer, HOST, 100, 2, NULL), 0);
    refused(page_arrives(&scene, placer, 3 * HOST, 1, 2, &err), &err, "page 1536");
    refused(page_arrives(&scene, placer, 3 * HOST, 1, 0, &err), &err, "before another huge page is complete");
    /* Its neighbour may begin, as in a packet that reaches into it; a third may not. */
    assert_int_equal(page_arrives(&scene, placer, 2 * HOST, 1, 2, NULL), 0);
    refused(page_arrives(&scene, placer, 0, 1, 2, &err), &err, "page 0");
    close_scene(&scene, placer);
}

static void another_block_in_the_middle(void **state)
{
    static struct postcopy_scene scene;
    uint64_t bytes = HOST * FERRY_PAGE_BYTES;
    struct ferry_block info = { .name = "other", .length = bytes, .page_size = (uint32_t)bytes };
    struct placer *placer;
    struct ferry_error err;

    postcopy_scene_open(&scene, MEMORY_HUGE, 2 * HOST);
    postcopy_ram_free(scene.ram);
    info.host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    assert_ptr_not_equal(info.host, MAP_FAILED);
    assert_int_equal(ram_map_add(&scene.map, &info, NULL), 0);
    scene.block = scene.map.blocks[0];
    scene.ram = postcopy_ram_new(&scene.map, &postcopy_scene_ops, &scene, -1, NULL);
    assert_non_null(scene.ram);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(postcopy_ram_discard(scene.ram, scene.map.blocks[i], 0, HOST, NULL), 0);
    assert_int_equal(postcopy_ram_listen(scene.ram, NULL), 0);
    placer = postcopy_ram_placer(scene.ram, NULL);
    assert_int_equal(page_arrives(&scene, placer, 0, 100, 2, NULL), 0);
    assert_int_equal(placer->ops->zero(placer, scene.map.blocks[1], 100, 1, &err), -EPROTO);
    assert_non_null(strstr(err.text, "block 'other' page 100"));
    assert_int_equal(page_arrives(&scene, placer, 100, 412, 2, NULL), 0);
    assert_int_equal(placer->ops->zero(placer, scene.map.blocks[1], 0, HOST, &err), 0);
    assert_int_equal(postcopy_ram_finish(scene.ram, NULL), 0);
    close_scene(&scene, placer);
    munmap(info.host, bytes);
}

/* A packet has its zero pages behind the others and may reach into the next huge page. */
static void the_order_of_a_packet(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_HUGE, 2, 2);
    const struct placer_ops *ops = placer->ops;
    static const uint64_t runs[][2] = { { 0, 100 }, { 200, 312 }, { HOST, 50 } };
    uint64_t got;

    for (unsigned i = 0; i < 3; i++) {
        uint8_t *to = ops->prepare(placer, scene.block, runs[i][0], runs[i][1], &got);

        assert_int_equal(got, runs[i][1]);
        for (uint64_t page = 0; page < got; page++)
            page_write(to + page * FERRY_PAGE_BYTES, runs[i][0] + page, 2);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ops->commit(placer, scene.block, runs[i][0], runs[i][1], NULL), 0);
    assert_int_equal(postcopy_ram_missing(scene.ram), 2 * HOST);
    assert_int_equal(ops->zero(placer, scene.block, 100, 100, NULL), 0);
    assert_int_equal(postcopy_ram_missing(scene.ram), HOST);
    /* Zeros first, then content: what the memory held before must not show. */
    assert_int_equal(ops->zero(placer, scene.block, HOST + 50, 50, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, HOST + 100, 412, 2, NULL), 0);
    assert_int_equal(postcopy_ram_finish(scene.ram, NULL), 0);
    for (uint64_t page = 0; page < 2 * HOST; page++)
        assert_true(page_is(scene_page(&scene, page), page,
                            page % HOST / 50 == 1 && page > HOST ? 0
                            : page >= 100 && page < 200          ? 0
                                                                 : 2));
    close_scene(&scene, placer);
}

/* The reader guesses that the next huge page follows, and another one does. */
static void a_wrong_guess_at_a_huge_page(void **state)
{
    static struct postcopy_scene scene;
    struct placer *placer = open_scene(&scene, MEMORY_HUGE, 4, 4);
    uint64_t got;

    assert_int_equal(page_arrives(&scene, placer, 0, HOST, 2, NULL), 0);
    assert_non_null(placer->ops->prepare(placer, scene.block, HOST, 64, &got));
    assert_int_equal(page_arrives(&scene, placer, 3 * HOST, HOST, 2, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, HOST, HOST, 0, NULL), 0);
    assert_int_equal(page_arrives(&scene, placer, 2 * HOST, HOST, 2, NULL), 0);
    assert_int_equal(postcopy_ram_finish(scene.ram, NULL), 0);
    assert_true(page_is(scene_page(&scene, 2 * HOST - 1), 2 * HOST - 1, 0));
    assert_true(page_is(scene_page(&scene, 4 * HOST - 1), 4 * HOST - 1, 2));
    close_scene(&scene, placer);
}

int main(void)
{
    const struct CMUnitTest small[] = {
        cmocka_unit_test(only_whole_pages_of_the_block_are_dropped),
        cmocka_unit_test(a_page_before_listen),
        cmocka_unit_test(a_page_that_was_never_dropped),
        cmocka_unit_test(pages_outside_of_the_block_or_not_prepared),
        cmocka_unit_test(a_batch_has_its_bound),
        cmocka_unit_test(a_wrong_guess_is_no_harm),
    };
    const struct CMUnitTest huge[] = {
        cmocka_unit_test(half_a_huge_page_is_none),
        cmocka_unit_test(the_kernel_takes_huge_pages_only_whole),
        cmocka_unit_test(a_piece_twice),
        cmocka_unit_test(another_huge_page_before_this_one_is_complete),
        cmocka_unit_test(another_block_in_the_middle),
        cmocka_unit_test(the_order_of_a_packet),
        cmocka_unit_test(a_wrong_guess_at_a_huge_page),
    };
    int failed;

    if (postcopy_can(MEMORY_PRIVATE))
        return 77;
    failed = cmocka_run_group_tests(small, NULL, NULL);
    if (!postcopy_can(MEMORY_HUGE))
        failed += cmocka_run_group_tests(huge, NULL, NULL);
    return failed;
}
