/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_section_postcopy_test.c - in postcopy records are placed in runs, and none waits for the one behind it */
#include "bytes.h"
#include "ram_section.h"
#include "staged_placer.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE  ((uint64_t)FERRY_PAGE_BYTES)
#define PAGES 2048
#define HUGE  (512 * PAGE)

struct scene {
    struct ram_map from, to;
    struct staged staged;
    struct ram_loader loader;
    struct ferry_channel *pair[2];
    struct ferry_writer *writer;
    struct ferry_reader *reader;
    const struct ram_block *last;
    pthread_t thread;
    int result;
};

static const struct ram_loader_ops ops;

static void make_map(struct ram_map *map, bool filled)
{
    ram_map_init(map);
    for (unsigned i = 0; i < 2; i++) {
        struct ferry_block info = {
            .name = i ? "huge" : "small",
            .host = aligned_alloc(HUGE, PAGES * PAGE),
            .length = PAGES * PAGE,
            .page_size = i ? HUGE : FERRY_PAGE_BYTES,
        };

        assert_non_null(info.host);
        memset(info.host, 0, PAGES * PAGE);
        for (uint64_t page = 0; filled && page < PAGES; page++) {
            if (page % 100 < 60 || page > 1000) /* runs of both kinds */
                memset((uint8_t *)info.host + page * PAGE, 1 + (int)(page % 250), PAGE);
        }
        assert_int_equal(ram_map_add(map, &info, NULL), 0);
    }
}

static void *load(void *opaque)
{
    struct scene *scene = opaque;

    scene->result = ram_get_body(&scene->loader, scene->reader);
    return NULL;
}

/* The loader knows the blocks, all of which were discarded, and waits for records. */
static void scene_make(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    make_map(&scene->from, true);
    make_map(&scene->to, false);
    staged_make(&scene->staged, &scene->to);
    for (unsigned i = 0; i < 2; i++)
        staged_discard(&scene->staged, scene->to.blocks[i], 0, PAGES);
    scene->loader.blocks = scene->to.blocks;
    scene->loader.count = scene->to.count;
    scene->loader.ops = &ops;
    ram_loader_begin_postcopy(&scene->loader, &scene->staged.view[0].base);
    assert_int_equal(ferry_channel_pair(scene->pair, NULL), 0);
    scene->writer = ferry_writer_new(scene->pair[0], NULL);
    scene->reader = ferry_reader_new(scene->pair[1], NULL);
    assert_int_equal(pthread_create(&scene->thread, NULL, load, scene), 0);
}

/* Returns what the loader said. */
static int scene_clear(struct scene *scene)
{
    ferry_channel_shutdown(scene->pair[0], FERRY_WRITE);
    pthread_join(scene->thread, NULL);
    ferry_writer_free(scene->writer);
    ferry_reader_free(scene->reader);
    staged_clear(&scene->staged);
    for (unsigned i = 0; i < 2; i++) {
        ferry_channel_unref(scene->pair[i]);
        free(scene->from.blocks[i]->host);
        free(scene->to.blocks[i]->host);
    }
    ram_map_clear(&scene->from);
    ram_map_clear(&scene->to);
    return scene->result;
}

static void send_pages(struct scene *scene, unsigned block, uint64_t first, uint64_t count)
{
    struct page_batch batch;

    for (uint64_t end = first + count; first < end;) {
        batch = (struct page_batch){ .block = scene->from.blocks[block], .limit = BATCH_PAGES };
        while (batch.count < batch.limit && first < end)
            batch.pages[batch.count++] = first++;
        batch_split_zero(&batch, NULL);
        ram_put_batch(scene->writer, &scene->last, &batch);
    }
    assert_int_equal(ferry_writer_flush(scene->writer, NULL), 0);
}

static void assert_same(const struct scene *scene, unsigned block, uint64_t first, uint64_t count)
{
    assert_memory_equal(scene->to.blocks[block]->host + first * PAGE, scene->from.blocks[block]->host + first * PAGE,
                        count * PAGE);
}

static void pages_are_placed_in_runs(void **state)
{
    struct scene scene;

    scene_make(&scene);
    send_pages(&scene, 0, 0, PAGES);
    send_pages(&scene, 1, 0, PAGES);
    ram_put_eos(scene.writer);
    assert_int_equal(ferry_writer_flush(scene.writer, NULL), 0);
    staged_await(&scene.staged, 2 * PAGES);
    pthread_join(scene.thread, NULL);
    assert_int_equal(scene.result, 0);
    assert_int_equal(pthread_create(&scene.thread, NULL, load, &scene), 0);
    assert_same(&scene, 0, 0, PAGES);
    assert_same(&scene, 1, 0, PAGES);
    staged_assert_once(&scene.staged);
    assert_true(atomic_load(&scene.staged.view[0].longest) >= 16);
    assert_true(atomic_load(&scene.staged.view[0].commits) < PAGES);
    (void)scene_clear(&scene);
}

/* Whoever waits for a page gets it though nothing follows: not the next page, nor the next record, nor half of one. */
static void no_page_waits_for_the_next_one(void **state)
{
    uint64_t word = (900 << FERRY_PAGE_SHIFT) | RAM_PAGE | RAM_CONTINUE;
    struct scene scene;
    uint64_t sent = 0;

    scene_make(&scene);
    for (unsigned run = 1; run < 300; run += run) { /* the loader bets on more and more */
        send_pages(&scene, 0, sent, run);
        sent += run;
        staged_await(&scene.staged, sent);
        assert_same(&scene, 0, 0, sent);
    }
    send_pages(&scene, 0, 1500, 5);
    staged_await(&scene.staged, sent += 5);
    ferry_put_be64(scene.writer, word);
    ferry_put_bytes(scene.writer, scene.from.blocks[0]->host + 900 * PAGE, 100);
    send_pages(&scene, 0, 0, 0);
    ferry_put_bytes(scene.writer, scene.from.blocks[0]->host + 900 * PAGE + 100, PAGE - 100);
    ferry_put_be16(scene.writer, 0); /* the beginning of a record */
    send_pages(&scene, 0, 0, 0);
    staged_await(&scene.staged, sent += 1);
    assert_same(&scene, 0, 900, 1);
    assert_true(scene_clear(&scene) < 0);
}

static void put_page(struct scene *scene, unsigned block, uint64_t page, unsigned flags)
{
    ferry_put_be64(scene->writer, page << FERRY_PAGE_SHIFT | flags);
    if (!(flags & RAM_CONTINUE))
        ferry_put_cstr8(scene->writer, scene->from.blocks[block]->info.name);
    ferry_put_bytes(scene->writer, scene->from.blocks[block]->host + page * PAGE, flags & RAM_PAGE ? PAGE : 1);
}

static void broken_order(struct scene *scene, unsigned which)
{
    switch (which) {
    case 0: /* half a host page, then another one */
        put_page(scene, 1, 0, RAM_PAGE);
        put_page(scene, 1, 512, RAM_PAGE | RAM_CONTINUE);
        break;
    case 1: /* half a host page, then another block */
        put_page(scene, 1, 0, RAM_PAGE);
        put_page(scene, 0, 5, RAM_PAGE);
        break;
    case 2: /* a page that was never discarded */
        atomic_store(&scene->staged.missing[0][7], 0);
        put_page(scene, 0, 7, RAM_PAGE);
        break;
    case 3: /* outside of the block */
        put_page(scene, 0, 0, RAM_PAGE);
        ferry_put_be64(scene->writer, (uint64_t)PAGES << FERRY_PAGE_SHIFT | RAM_PAGE | RAM_CONTINUE);
        break;
    case 4:
        ferry_put_be64(scene->writer, 5 << FERRY_PAGE_SHIFT | RAM_XBZRLE);
        break;
    case 5:
        ferry_put_be64(scene->writer, PAGE | RAM_MEM_SIZE);
        break;
    case 6:
        ferry_put_be64(scene->writer, RAM_MULTIFD_FLUSH);
        break;
    case 7:
        ferry_put_be64(scene->writer, RAM_HOOK);
        break;
    case 8:
        ferry_put_be64(scene->writer, RAM_COMPRESS_PAGE);
        break;
    }
}

static void what_has_no_place_in_postcopy_is_refused(void **state)
{
    for (unsigned which = 0; which <= 8; which++) {
        struct ferry_error err = { 0 };
        struct scene scene;

        scene_make(&scene);
        broken_order(&scene, which);
        assert_int_equal(ferry_writer_flush(scene.writer, NULL), 0);
        pthread_join(scene.thread, NULL);
        assert_int_equal(scene.result, -EPROTO);
        assert_int_equal(ferry_reader_status(scene.reader, &err), -EPROTO);
        assert_true(err.text[0] != '\0');
        if (which >= 4)
            assert_non_null(strstr(err.text, "in postcopy"));
        assert_true(atomic_load(&scene.staged.placed) <= 1);
        assert_int_equal(pthread_create(&scene.thread, NULL, load, &scene), 0);
        assert_int_equal(scene_clear(&scene), -EPROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_placed_in_runs),
        cmocka_unit_test(no_page_waits_for_the_next_one),
        cmocka_unit_test(what_has_no_place_in_postcopy_is_refused),
    };

    return cmocka_run_group_tests_name("ram_section_postcopy", tests, NULL, NULL);
}
