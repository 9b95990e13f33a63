/* SPDX-License-Identifier: BSD-3-Clause */
/* page_zeros_test.c - zero pages that many threads find stand in the main stream, each once */
#include "page_zeros.h"
#include "placer.h"
#include "ram_section.h"
#include "reader.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BLOCKS  2
#define PAGES   1009 /* of a block */
#define THREADS 4

struct scene {
    struct ram_map map;
    struct page_zeros *zeros;
    const struct ram_block *last;
    pthread_t thread[THREADS];
};

struct finder {
    struct scene *scene;
    unsigned number;
};

static void scene_open(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    ram_map_init(&scene->map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        const char name[] = { (char)('a' + i), '\0' };
        struct ferry_block block = { .name = name, .length = PAGES * FERRY_PAGE_BYTES, .page_size = FERRY_PAGE_BYTES };

        block.host = mmap(NULL, block.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(block.host != MAP_FAILED);
        memset(block.host, 0x55, block.length);
        assert_int_equal(ram_map_add(&scene->map, &block, NULL), 0);
    }
    scene->zeros = page_zeros_new(&scene->map);
    assert_non_null(scene->zeros);
}

static void scene_close(struct scene *scene)
{
    page_zeros_free(scene->zeros);
    for (unsigned i = 0; i < BLOCKS; i++)
        munmap(scene->map.blocks[i]->host, PAGES * FERRY_PAGE_BYTES);
    ram_map_clear(&scene->map);
}

static bool is_zero(unsigned page)
{
    return page % 7 < 3 || page % 100 > 60;
}

/* Threads have neighbouring pages, and so the same words. */
static void *find(void *opaque)
{
    struct finder *finder = opaque;
    struct page_batch batch = { .block = finder->scene->map.blocks[finder->number % BLOCKS] };
    unsigned zeros = 0, found = 0;

    for (unsigned page = finder->number / BLOCKS; page < PAGES; page += THREADS / BLOCKS) {
        if (!is_zero(page))
            continue;
        zeros++;
        batch.pages[batch.count++] = page;
        if (batch.count < 5 && page + THREADS < PAGES)
            continue;
        found += page_zeros_add(finder->scene->zeros, &batch);
        assert_int_equal(batch.count, 0);
    }
    found += page_zeros_add(finder->scene->zeros, &batch);
    assert_int_equal(found, zeros);
    return NULL;
}

static int announce(void *opaque, const char *name, uint64_t length, struct ram_block **block, struct ferry_error *err)
{
    *block = ram_map_find(opaque, name);
    return *block ? 0 : -ENOENT;
}

static const struct ram_loader_ops ops = { .announce = announce };

/* Returns how many records there were; the pages in question are zero then. */
static uint64_t put(struct scene *scene)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(1u << 20, NULL), *back;
    struct ferry_writer *writer = ferry_writer_new(chan, NULL);
    struct placer *placer = placer_direct_new(&scene->map, false, NULL);
    struct ferry_reader *reader;
    struct ram_loader loader;
    const void *data;
    uint64_t count;
    size_t bytes;

    ram_put_blocks(writer, &scene->map);
    scene->last = NULL;
    page_zeros_put(scene->zeros, writer, &scene->last);
    ram_put_eos(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    data = ferry_channel_buffer_data(chan, &bytes);
    back = ferry_channel_buffer_reader(data, bytes, NULL);
    reader = ferry_reader_new(back, NULL);
    ram_loader_init(&loader, &ops, &scene->map, placer);
    assert_int_equal(ram_get_body(&loader, reader), 0);
    count = loader.counts.zero;
    ram_loader_clear(&loader);
    placer_free(placer);
    ferry_reader_free(reader);
    ferry_writer_free(writer);
    ferry_channel_unref(back);
    ferry_channel_unref(chan);
    return count;
}

static void each_page_found_by_any_thread_has_one_record(void **state)
{
    struct finder finders[THREADS];
    struct scene scene;
    unsigned zeros = 0;

    scene_open(&scene);
    for (unsigned i = 0; i < THREADS; i++) {
        finders[i] = (struct finder){ &scene, i };
        assert_int_equal(pthread_create(&scene.thread[i], NULL, find, &finders[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(scene.thread[i], NULL);
    for (unsigned page = 0; page < PAGES; page++)
        zeros += is_zero(page) ? BLOCKS : 0;
    assert_int_equal(put(&scene), zeros);
    for (unsigned i = 0; i < BLOCKS * PAGES; i++)
        assert_int_equal(scene.map.blocks[i / PAGES]->host[i % PAGES * FERRY_PAGE_BYTES + 99],
                         is_zero(i % PAGES) ? 0 : 0x55);
    assert_int_equal(put(&scene), 0);
    scene_close(&scene);
}

/* What has content stays in the batch. */
static void pages_with_content_stay(void **state)
{
    struct page_batch batch = { .count = 6, .normal = 2, .pages = { 5, 9, 1, 2, 3, 1008 } };
    struct scene scene;

    scene_open(&scene);
    batch.block = scene.map.blocks[1];
    assert_int_equal(page_zeros_add(scene.zeros, &batch), 4);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.normal, 2);
    assert_int_equal(put(&scene), 4);
    scene_close(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_page_found_by_any_thread_has_one_record),
        cmocka_unit_test(pages_with_content_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
