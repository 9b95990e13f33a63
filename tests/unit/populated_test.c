/* SPDX-License-Identifier: BSD-3-Clause */
/* populated_test.c - what was never written is known to be zero, and nothing that has content is taken for it */
#include "pagemap.h"
#include "populated.h"
#include "tracker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define CHUNK_PAGES UINT64_C(512)
#define CHUNK_BYTES (CHUNK_PAGES * FERRY_PAGE_BYTES)
#define CHUNKS      4
#define PAGES       (CHUNKS * CHUNK_PAGES)

struct memory {
    void *mapping;
    struct ram_block block;
    struct dirty_map map;
};

static void memory_open(struct memory *memory, int advice)
{
    volatile uint8_t *host;

    memory->mapping = mmap(NULL, (CHUNKS + 1) * CHUNK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(memory->mapping, MAP_FAILED);
    host = (uint8_t *)(((uintptr_t)memory->mapping + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1));
    memory->block = (struct ram_block){
        .info = { "ram", (void *)host, CHUNKS * CHUNK_BYTES, FERRY_PAGE_BYTES, FERRY_BLOCK_PRIVATE },
        .host = (uint8_t *)host,
        .pages = PAGES,
    };
    madvise(memory->block.host, memory->block.info.length, advice);
    assert_int_equal(dirty_init(&memory->map, PAGES), 0);
    /* Content in pages 0, 1 and 600, a look at pages 5 and 1100, nothing in the last chunk. */
    host[0] = 1;
    host[FERRY_PAGE_BYTES] = 1;
    host[600 * FERRY_PAGE_BYTES] = 1;
    assert_int_equal(host[5 * FERRY_PAGE_BYTES] + host[1100 * FERRY_PAGE_BYTES], 0);
}

static void memory_close(struct memory *memory)
{
    munmap(memory->mapping, (CHUNKS + 1) * CHUNK_BYTES);
    dirty_clear_memory(&memory->map);
}

static void ignore_found(void *opaque, uint64_t first, uint64_t count, unsigned categories)
{
}

static bool kernel_scans(const struct memory *memory)
{
    static const struct pagemap_query present = { .any = PAGEMAP_PRESENT, .want = PAGEMAP_ZERO };
    int fd = pagemap_open(NULL);
    int rc = fd < 0 ? fd : pagemap_scan(fd, &memory->block.info, &present, ignore_found, NULL, NULL);

    if (fd >= 0)
        close(fd);
    return rc == 0;
}

static void small_pages_with_content_are_populated(void **state)
{
    struct memory memory;

    memory_open(&memory, MADV_NOHUGEPAGE);
    assert_int_equal(populated_scan(&memory.block, &memory.map, NULL), 0);
    assert_true(dirty_test(&memory.map, 0));
    assert_true(dirty_test(&memory.map, 1));
    assert_true(dirty_test(&memory.map, 600));
    /* Without PAGEMAP_SCAN, what was only read looks the same. */
    assert_int_equal(memory.map.count, kernel_scans(&memory) ? 3 : 5);
    memory_close(&memory);
}

static void huge_pages_are_populated_as_a_whole(void **state)
{
    struct memory memory;

    memory_open(&memory, MADV_HUGEPAGE);
    assert_int_equal(populated_scan(&memory.block, &memory.map, NULL), 0);
    assert_true(dirty_test(&memory.map, 0));
    assert_true(dirty_test(&memory.map, 1));
    assert_true(dirty_test(&memory.map, 600));
    for (uint64_t page = 3 * CHUNK_PAGES; page < PAGES; page++)
        assert_false(dirty_test(&memory.map, page));
    memory_close(&memory);
}

static void watching_memory_does_not_populate_it(void **state)
{
    struct memory memory;
    struct ram_map map = { 0 };
    struct ram_block *blocks[1];
    struct tracker_set *set;
    struct dirty_map changed;
    struct ferry_error err = { 0 };
    uint64_t count;

    memory_open(&memory, MADV_NOHUGEPAGE);
    assert_int_equal(dirty_init(&changed, PAGES), 0);
    blocks[0] = &memory.block;
    map.blocks = blocks;
    map.count = 1;
    set = tracker_set_new(&map, NULL, 0, &err);
    if (!set) {
        print_message("%s\n", err.text);
        dirty_clear_memory(&changed);
        memory_close(&memory);
        skip();
    }
    assert_int_equal(tracker_set_sync(set, &memory.block, &changed, &count, NULL), 0);
    assert_int_equal(populated_scan(&memory.block, &memory.map, NULL), 0);
    assert_int_equal(memory.map.count, kernel_scans(&memory) ? 3 : 5);
    tracker_set_free(set);
    dirty_clear_memory(&changed);
    memory_close(&memory);
}

static void memory_that_may_be_shared_is_all_populated(void **state)
{
    struct memory memory;

    memory_open(&memory, MADV_NOHUGEPAGE);
    memory.block.info.flags = 0;
    assert_int_equal(populated_scan(&memory.block, &memory.map, NULL), 0);
    assert_int_equal(memory.map.count, PAGES);
    memory_close(&memory);
}

static void a_map_of_another_size_is_refused(void **state)
{
    struct memory memory;
    struct ferry_error err = { 0 };

    memory_open(&memory, MADV_NOHUGEPAGE);
    memory.block.pages = PAGES - 1;
    assert_int_equal(populated_scan(&memory.block, &memory.map, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'ram'"));
    memory_close(&memory);
}

static void read_found(void *opaque, uint64_t first, uint64_t count, unsigned categories)
{
    dirty_set_range(opaque, first, count);
}

static void the_way_of_older_kernels_finds_every_page_with_content(void **state)
{
    struct memory memory;
    int fd = pagemap_open(NULL);

    if (fd < 0)
        skip();
    memory_open(&memory, MADV_NOHUGEPAGE);
    assert_int_equal(pagemap_read(fd, &memory.block.info, read_found, &memory.map, NULL), 0);
    assert_true(dirty_test(&memory.map, 0));
    assert_true(dirty_test(&memory.map, 1));
    assert_true(dirty_test(&memory.map, 600));
    assert_false(dirty_test(&memory.map, 2));
    assert_false(dirty_test(&memory.map, 1099));
    assert_true(memory.map.count <= 5);
    memory_close(&memory);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_pages_with_content_are_populated),
        cmocka_unit_test(huge_pages_are_populated_as_a_whole),
        cmocka_unit_test(watching_memory_does_not_populate_it),
        cmocka_unit_test(memory_that_may_be_shared_is_all_populated),
        cmocka_unit_test(a_map_of_another_size_is_refused),
        cmocka_unit_test(the_way_of_older_kernels_finds_every_page_with_content),
    };

    return cmocka_run_group_tests_name("populated", tests, NULL, NULL);
}
