/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk_test.c - whoever takes, and however many: every page leaves once, and what was never touched unread */
#include "page_walk.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BLOCKS  3
#define PAGES   5003 /* of a block; ends in the middle of a word */
#define TAKERS  4
#define TOUCHED 7 /* every so many pages one was touched, with its neighbour */

struct fixture {
    struct ram_map map;
    struct page_walk walk;
    struct tracker tracker;
    _Atomic(unsigned) seen[BLOCKS][PAGES];
    atomic_uint read_pages; /* that the walk said have content */
    atomic_uint errors;
    uint64_t dirty[BLOCKS][PAGES / 64 + 1]; /* what the tracker reports next */
    atomic_uint takers;
};

static int toy_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    return 0;
}

static int toy_sync(void *opaque, const struct ferry_block *block, uint64_t *dirty, struct ferry_error *err)
{
    struct fixture *fixture = opaque;
    uint64_t *words = fixture->dirty[block->name[0] - 'a'];

    for (unsigned i = 0; i < PAGES / 64 + 1; i++)
        dirty[i] |= words[i];
    memset(words, 0, sizeof(fixture->dirty[0]));
    return 0;
}

static void toy_stop(void *opaque, const struct ferry_block *block)
{
}

static const struct ferry_tracker_ops toy_ops = {
    .name = "toy",
    .start = toy_start,
    .sync = toy_sync,
    .stop = toy_stop,
};

static bool is_touched(uint64_t page)
{
    return page % TOUCHED < 2;
}

static int make(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    ram_map_init(&fixture.map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        const char name[] = { (char)('a' + i), '\0' };
        uint8_t *host = mmap(NULL, PAGES * FERRY_PAGE_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        struct ferry_block info = {
            .name = name,
            .host = host,
            .length = PAGES * FERRY_PAGE_BYTES,
            .page_size = FERRY_PAGE_BYTES,
            .flags = FERRY_BLOCK_PRIVATE,
        };

        assert_ptr_not_equal(host, MAP_FAILED);
        (void)madvise(host, info.length, MADV_NOHUGEPAGE);
        for (uint64_t page = 0; page < PAGES; page++) {
            if (is_touched(page))
                host[page * FERRY_PAGE_BYTES + page % FERRY_PAGE_BYTES] = 1;
        }
        assert_int_equal(ram_map_add(&fixture.map, &info, NULL), 0);
    }
    fixture.tracker = (struct tracker){ &toy_ops, &fixture };
    assert_int_equal(walk_init(&fixture.walk, &fixture.map, NULL), 0);
    *state = &fixture;
    return 0;
}

static int unmake(void **state)
{
    struct fixture *fixture = *state;

    walk_clear(&fixture->walk);
    for (unsigned i = 0; i < BLOCKS; i++)
        munmap(fixture->map.blocks[i]->host, PAGES * FERRY_PAGE_BYTES);
    ram_map_clear(&fixture->map);
    return 0;
}

static void saw(struct fixture *fixture, const struct ram_block *block, uint64_t page)
{
    if (page >= PAGES)
        atomic_fetch_add(&fixture->errors, 1);
    else
        atomic_fetch_add(&fixture->seen[block->index][page], 1);
}

static void *take_all(void *opaque)
{
    struct fixture *fixture = opaque;
    bool claims = atomic_fetch_add(&fixture->takers, 1) % 2;
    struct walk_claim claim = { 0 };
    struct page_batch batch;

    batch.limit = 100;
    while (walk_take(&fixture->walk, claims ? &claim : NULL, &batch)) {
        for (unsigned i = 0; i < batch.count; i++)
            saw(fixture, batch.block, batch.pages[i]);
        if (batch.count == 0 || batch.count > batch.limit || batch.normal > batch.count)
            atomic_fetch_add(&fixture->errors, 1);
        atomic_fetch_add(&fixture->read_pages, batch.normal);
    }
    return NULL;
}

static void *take_untouched_first(void *opaque)
{
    struct fixture *fixture = opaque;
    const struct ram_block *block;
    uint64_t first, count;

    while (walk_take_untouched(&fixture->walk, &block, &first, &count)) {
        for (uint64_t i = 0; i < count; i++) {
            saw(fixture, block, first + i);
            if (is_touched(first + i))
                atomic_fetch_add(&fixture->errors, 1);
        }
    }
    return take_all(opaque);
}

static void run(struct fixture *fixture, void *(*body)(void *))
{
    pthread_t thread[TAKERS];

    for (unsigned i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, body, fixture), 0);
    for (unsigned i = 0; i < TAKERS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(atomic_load(&fixture->errors), 0);
}

static unsigned touched_pages(void)
{
    unsigned count = 0;

    for (uint64_t page = 0; page < PAGES; page++)
        count += is_touched(page);
    return count * BLOCKS;
}

static void assert_seen_once(struct fixture *fixture)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (uint64_t page = 0; page < PAGES; page++)
            assert_int_equal(atomic_load(&fixture->seen[i][page]), 1);
    }
    assert_int_equal(walk_pending(&fixture->walk), 0);
    assert_int_equal(atomic_load(&fixture->read_pages), touched_pages());
}

static void several_takers_see_every_page_once(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(walk_pending(&fixture->walk), BLOCKS * PAGES);
    run(fixture, take_all);
    assert_seen_once(fixture);
}

static void untouched_runs_and_batches_together_are_every_page_once(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(walk_look_untouched(&fixture->walk, NULL), 0);
    run(fixture, take_untouched_first);
    assert_seen_once(fixture);
}

static void an_untouched_run_is_as_long_as_it_can_be(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *block;
    uint64_t first, count;

    assert_int_equal(walk_look_untouched(&fixture->walk, NULL), 0);
    for (uint64_t page = 2; page < PAGES; page += TOUCHED) {
        uint64_t end = page + TOUCHED - 2 < PAGES ? page + TOUCHED - 2 : PAGES;

        assert_true(walk_take_untouched(&fixture->walk, &block, &first, &count));
        assert_ptr_equal(block, fixture->map.blocks[0]);
        assert_int_equal(first, page);
        assert_int_equal(count, end - page);
    }
    assert_true(walk_take_untouched(&fixture->walk, &block, &first, &count));
    assert_ptr_equal(block, fixture->map.blocks[1]);
}

static void a_run_ends_at_a_page_that_somebody_else_took(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *block;
    struct page_batch batch = { .limit = 4 }; /* 0, 1 touched, 2, 3 not */
    uint64_t first, count;

    assert_int_equal(walk_look_untouched(&fixture->walk, NULL), 0);
    assert_true(walk_take(&fixture->walk, NULL, &batch));
    assert_int_equal(batch.normal, 2);
    assert_int_equal(batch.count, 4);
    assert_true(walk_take_untouched(&fixture->walk, &block, &first, &count));
    assert_int_equal(first, 4);
    assert_int_equal(count, TOUCHED - 4);
}

static void after_a_sync_only_what_changed_is_left_and_all_of_it_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct tracker_set *trackers = tracker_set_new(&fixture->map, &fixture->tracker, 1, NULL);
    const struct ram_block *block;
    struct page_batch batch = { .limit = BATCH_PAGES };
    uint64_t first, count, changed;

    assert_non_null(trackers);
    assert_int_equal(walk_look_untouched(&fixture->walk, NULL), 0);
    take_all(fixture);
    assert_int_equal(walk_sync(&fixture->walk, trackers, &changed, NULL), 0);
    assert_int_equal(changed, 0);
    assert_false(walk_take(&fixture->walk, NULL, &batch));

    fixture->dirty[2][5] = 6; /* pages 321 and 322, of which the first was touched since */
    fixture->map.blocks[2]->host[321 * FERRY_PAGE_BYTES] = 1;
    assert_int_equal(walk_sync(&fixture->walk, trackers, &changed, NULL), 0);
    assert_int_equal(changed, 2);
    assert_int_equal(walk_pending(&fixture->walk), 2);
    assert_false(walk_take_untouched(&fixture->walk, &block, &first, &count));
    assert_true(walk_take(&fixture->walk, NULL, &batch));
    assert_ptr_equal(batch.block, fixture->map.blocks[2]);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.normal, is_touched(322) ? 2 : 1);
    assert_int_equal(batch.pages[0], 321);
    assert_false(walk_take(&fixture->walk, NULL, &batch));
    tracker_set_free(trackers);
}

/* Each from a huge page of its own, as long as there is enough; claims are void after a sync. */
static void takers_with_claims_keep_out_of_each_other_s_way(void **state)
{
    struct fixture *fixture = *state;
    struct walk_claim one = { 0 }, two = { 0 };
    struct page_batch batch = { .limit = 128 };

    for (unsigned i = 0; i < 4; i++) {
        assert_true(walk_take(&fixture->walk, &one, &batch));
        assert_int_equal(batch.pages[0] / 512, 0);
        assert_int_equal(batch.count, 128);
        assert_true(walk_take(&fixture->walk, &two, &batch));
        assert_int_equal(batch.pages[0] / 512, 1);
        assert_int_equal(batch.count, 128);
    }
    assert_true(walk_take(&fixture->walk, &two, &batch));
    assert_int_equal(batch.pages[0] / 512, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_takers_see_every_page_once, make, unmake),
        cmocka_unit_test_setup_teardown(takers_with_claims_keep_out_of_each_other_s_way, make, unmake),
        cmocka_unit_test_setup_teardown(untouched_runs_and_batches_together_are_every_page_once, make, unmake),
        cmocka_unit_test_setup_teardown(an_untouched_run_is_as_long_as_it_can_be, make, unmake),
        cmocka_unit_test_setup_teardown(a_run_ends_at_a_page_that_somebody_else_took, make, unmake),
        cmocka_unit_test_setup_teardown(after_a_sync_only_what_changed_is_left_and_all_of_it_is_read, make, unmake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
