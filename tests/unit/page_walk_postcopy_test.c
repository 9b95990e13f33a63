/* SPDX-License-Identifier: BSD-3-Clause */
/* page_walk_postcopy_test.c - in postcopy each page leaves once, and a host page through one taker, in a row */
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

#define BLOCKS    4
#define TAKERS    4
#define MANY      8192 /* pages of a block */
#define HUGE      512  /* pages of a large host page */
#define MOST_RUNS 64

/* What one page of the destination has in each block. */
static const uint32_t host_pages[BLOCKS] = { 1, HUGE, 4, 2 * HUGE };

struct fixture {
    uint8_t *mapped[BLOCKS];
    struct ram_map map;
    struct page_walk walk;
    _Atomic(unsigned) seen[BLOCKS][MANY];
    _Atomic(int) taker[BLOCKS][MANY]; /* of a host page: who had its first page; 0: nobody yet */
    atomic_uint errors, takers;
};

#define BLOCK_BYTES  ((size_t)MANY * FERRY_PAGE_BYTES)
#define MAPPED_BYTES (BLOCK_BYTES + 2 * HUGE * FERRY_PAGE_BYTES)

/* At a border of the largest host pages. */
static uint8_t *map_memory(struct fixture *fixture, unsigned i)
{
    uint8_t *at = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uintptr_t border = 2 * HUGE * FERRY_PAGE_BYTES;

    assert_ptr_not_equal(at, MAP_FAILED);
    (void)madvise(at, MAPPED_BYTES, MADV_NOHUGEPAGE);
    fixture->mapped[i] = at;
    return at + (border - (uintptr_t)at % border) % border;
}

static int make(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    ram_map_init(&fixture.map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        const char name[] = { (char)('a' + i), '\0' };
        struct ferry_block info = {
            .name = name,
            .host = map_memory(&fixture, i),
            .length = BLOCK_BYTES,
            .page_size = host_pages[i] * FERRY_PAGE_BYTES,
            .flags = FERRY_BLOCK_PRIVATE,
        };

        assert_int_equal(ram_map_add(&fixture.map, &info, NULL), 0);
    }
    assert_int_equal(walk_init(&fixture.walk, &fixture.map, NULL), 0);
    *state = &fixture;
    return 0;
}

static int unmake(void **state)
{
    struct fixture *fixture = *state;

    walk_clear(&fixture->walk);
    for (unsigned i = 0; i < BLOCKS; i++)
        munmap(fixture->mapped[i], MAPPED_BYTES);
    ram_map_clear(&fixture->map);
    return 0;
}

/* Precopy has sent everything, and these were written since. */
static void only_dirty(struct fixture *fixture, unsigned block, uint64_t first, uint64_t count)
{
    struct page_walk *walk = &fixture->walk;

    walk->pending_pages = 0;
    for (unsigned i = 0; i < BLOCKS; i++)
        dirty_clear_all(&walk->dirty[i]);
    dirty_set_range(&walk->dirty[block], first, count);
    walk->pending_pages = count;
    walk_begin_postcopy(walk);
}

static uint64_t take_count(struct page_walk *walk)
{
    struct page_batch batch = { .limit = BATCH_PAGES };
    uint64_t pages = 0;

    while (walk_take(walk, NULL, &batch))
        pages += batch.count;
    return pages;
}

/* ---- what is to be discarded ----------------------------------------------------------------------------------- */

struct runs {
    unsigned count;
    struct {
        unsigned block;
        uint64_t first, count;
    } run[MOST_RUNS];
};

static int note_run(void *opaque, const struct ram_block *block, uint64_t first, uint64_t count)
{
    struct runs *runs = opaque;

    assert_true(runs->count < MOST_RUNS);
    runs->run[runs->count].block = block->index;
    runs->run[runs->count].first = first;
    runs->run[runs->count++].count = count;
    return 0;
}

static void a_host_page_is_dirty_whole_or_not(void **state)
{
    struct fixture *fixture = *state;
    struct page_walk *walk = &fixture->walk;
    struct runs runs = { 0 };

    for (unsigned i = 0; i < BLOCKS; i++)
        dirty_clear_all(&walk->dirty[i]);
    dirty_set_range(&walk->dirty[0], 7, 3);
    dirty_set_range(&walk->dirty[1], HUGE + 5, 1);
    dirty_set_range(&walk->dirty[1], 4 * HUGE - 1, 2);
    dirty_set_range(&walk->dirty[2], MANY - 1, 1);
    walk->pending_pages = 7;
    walk_begin_postcopy(walk);
    assert_int_equal(walk_pending(walk), 3 + 3 * HUGE + 4);

    assert_int_equal(walk_each_dirty_run(walk, note_run, &runs), 0);
    assert_int_equal(runs.count, 4);
    assert_int_equal(runs.run[0].first, 7);
    assert_int_equal(runs.run[0].count, 3);
    assert_int_equal(runs.run[1].block, 1);
    assert_int_equal(runs.run[1].first, HUGE);
    assert_int_equal(runs.run[1].count, HUGE);
    assert_int_equal(runs.run[2].first, 3 * HUGE);
    assert_int_equal(runs.run[2].count, 2 * HUGE);
    assert_int_equal(runs.run[3].block, 2);
    assert_int_equal(runs.run[3].first, MANY - 4);
    assert_int_equal(runs.run[3].count, 4);
    assert_int_equal(take_count(walk), 3 + 3 * HUGE + 4);
    assert_int_equal(walk_pending(walk), 0);
}

static int refuse_second(void *opaque, const struct ram_block *block, uint64_t first, uint64_t count)
{
    unsigned *calls = opaque;

    return ++*calls == 2 ? -ECANCELED : 0;
}

static void telling_of_runs_ends_when_it_is_told_to(void **state)
{
    struct fixture *fixture = *state;
    unsigned calls = 0;

    walk_begin_postcopy(&fixture->walk);
    assert_int_equal(walk_each_dirty_run(&fixture->walk, refuse_second, &calls), -ECANCELED);
    assert_int_equal(calls, 2);
}

/* ---- one that was asked for ------------------------------------------------------------------------------------ */

static void a_requested_page_leaves_once(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *small = fixture->map.blocks[0];
    struct page_batch batch = { .limit = BATCH_PAGES };
    struct walk_claim claim = { 0 };

    memset(small->host + 11 * FERRY_PAGE_BYTES, 1, 1);
    only_dirty(fixture, 0, 10, 2);
    assert_true(walk_take_host_page(&fixture->walk, &claim, small, 11, &batch));
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.normal, 1);
    assert_int_equal(batch.pages[0], 11);
    assert_false(walk_take_host_page(&fixture->walk, &claim, small, 11, &batch));
    assert_int_equal(batch.count, 0);
    assert_false(walk_take_rest(&fixture->walk, &claim, &batch));
    assert_true(walk_take_host_page(&fixture->walk, &claim, small, 10, &batch));
    assert_int_equal(batch.normal, 0); /* never touched */
    assert_int_equal(walk_pending(&fixture->walk), 0);
}

static void a_host_page_is_its_takers(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *huge = fixture->map.blocks[1];
    struct page_batch batch = { .limit = 300 }, other = { .limit = 300 };
    struct walk_claim claim = { 0 }, another = { 0 };

    only_dirty(fixture, 1, HUGE, 2 * HUGE);
    assert_true(walk_take_host_page(&fixture->walk, &claim, huge, HUGE + 77, &batch));
    assert_int_equal(batch.count, 300);
    assert_int_equal(batch.pages[0], HUGE);
    assert_false(walk_take_host_page(&fixture->walk, &another, huge, 2 * HUGE - 1, &other));

    assert_true(walk_take(&fixture->walk, &another, &other));
    assert_int_equal(other.pages[0], 2 * HUGE);
    assert_int_equal(other.count, 300);
    assert_true(walk_take_rest(&fixture->walk, &claim, &batch));
    assert_int_equal(batch.count, HUGE - 300);
    assert_int_equal(batch.pages[0], HUGE + 300);
    assert_false(walk_take_rest(&fixture->walk, &claim, &batch));
    assert_true(walk_take(&fixture->walk, &another, &other));
    assert_int_equal(other.count, HUGE - 300);
    assert_false(walk_take(&fixture->walk, &another, &other));
}

/* What was taken and did not come is to go again, what was not taken still is, what has come is not. */
static void what_has_not_come_goes_again_and_nothing_else(void **state)
{
    static uint64_t words[BLOCKS][MANY / 64 + 1];
    struct fixture *fixture = *state;
    struct page_walk *walk = &fixture->walk;
    struct page_batch batch = { .limit = 10 };
    struct walk_claim claim = { 0 };
    uint64_t *received[BLOCKS];

    for (unsigned i = 0; i < BLOCKS; i++) {
        received[i] = words[i];
        memset(words[i], 0xff, sizeof(words[i]));
    }
    only_dirty(fixture, 1, HUGE, 2 * HUGE);
    assert_true(walk_take(walk, &claim, &batch)); /* the rest of its host page is claimed */
    for (uint64_t page = HUGE; page < 3 * HUGE; page++)
        words[1][page / 64] &= ~(UINT64_C(1) << (page % 64));
    words[0][0] &= ~(UINT64_C(1) << 9); /* had gone, and not come */
    assert_int_equal(walk_begin_again(walk, received), HUGE + 1);
    assert_int_equal(walk_pending(walk), 2 * HUGE + 1);
    assert_false(walk_take_rest(walk, &claim, &batch)); /* void */
    assert_int_equal(take_count(walk), 2 * HUGE + 1);
    assert_int_equal(walk_pending(walk), 0);
}

static void the_walk_goes_on_behind_a_request_and_comes_around(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *small = fixture->map.blocks[0], *huge = fixture->map.blocks[1];
    struct page_batch batch = { .limit = 10 };

    only_dirty(fixture, 0, 0, MANY);
    walk_jump(&fixture->walk, small, 1000);
    assert_true(walk_take(&fixture->walk, NULL, &batch));
    assert_int_equal(batch.pages[0], 1001);
    assert_int_equal(take_count(&fixture->walk), MANY - 10);

    only_dirty(fixture, 1, 0, MANY);
    walk_jump(&fixture->walk, huge, MANY - 1); /* behind the last page of the block */
    assert_true(walk_take(&fixture->walk, NULL, &batch));
    assert_int_equal(batch.pages[0], 0);
    assert_int_equal(take_count(&fixture->walk), MANY - 10);
}

/* ---- neighbours ------------------------------------------------------------------------------------------------ */

static void neighbours_are_those_that_nobody_has_taken(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *small = fixture->map.blocks[0];
    struct page_batch batch = { .limit = 4 };
    struct walk_near near = { .block = small, .first = 101, .stride = 1, .count = 8 };
    struct walk_claim claim = { 0 };

    only_dirty(fixture, 0, 0, MANY);
    assert_true(walk_take_host_page(&fixture->walk, &claim, small, 103, &batch));
    assert_true(walk_take_near(&fixture->walk, &near, &batch));
    assert_int_equal(batch.count, 4);
    assert_int_equal(batch.pages[2], 104);
    assert_int_equal(near.count, 3);
    assert_true(walk_take_near(&fixture->walk, &near, &batch));
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.pages[2], 108);
    assert_int_equal(near.count, 0);
    assert_false(walk_take_near(&fixture->walk, &near, &batch));

    near = (struct walk_near){ .block = small, .first = 101, .stride = 1, .count = 8 };
    assert_false(walk_take_near(&fixture->walk, &near, &batch));
    assert_int_equal(near.count, 0);
}

static void neighbours_backwards_come_in_ascending_order(void **state)
{
    struct fixture *fixture = *state;
    struct page_batch batch = { .limit = 16 };
    struct walk_near near = { .block = fixture->map.blocks[0], .first = 9, .stride = -3, .count = 16 };

    only_dirty(fixture, 0, 0, MANY);
    assert_true(walk_take_near(&fixture->walk, &near, &batch));
    assert_int_equal(batch.count, 4); /* 9 6 3 0; below there is nothing */
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(batch.pages[i], 3 * i);
    assert_int_equal(near.count, 0);
}

static void large_host_pages_have_no_neighbours(void **state)
{
    struct fixture *fixture = *state;
    struct page_batch batch = { .limit = 16 };
    struct walk_near near = { .block = fixture->map.blocks[1], .first = HUGE, .stride = 1, .count = 16 };

    only_dirty(fixture, 1, 0, MANY);
    assert_false(walk_take_near(&fixture->walk, &near, &batch));
    assert_int_equal(near.count, 0);
    assert_int_equal(walk_pending(&fixture->walk), MANY);
}

static void untouched_memory_goes_in_whole_host_pages(void **state)
{
    struct fixture *fixture = *state;
    const struct ram_block *block;
    uint64_t first, count, pages = 0, large = 0;

    memset(fixture->map.blocks[1]->host + (2 * HUGE + 3) * FERRY_PAGE_BYTES, 1, 1);
    memset(fixture->map.blocks[0]->host + 100 * FERRY_PAGE_BYTES, 1, 1);
    assert_int_equal(walk_look_untouched(&fixture->walk, NULL), 0);
    walk_begin_postcopy(&fixture->walk);
    while (walk_take_untouched(&fixture->walk, &block, &first, &count)) {
        assert_int_equal(first % host_pages[block->index], 0);
        assert_int_equal(count % host_pages[block->index], 0);
        pages += count;
        large += block->index == 1 ? count : 0;
    }
    assert_int_equal(large, MANY - HUGE);
    assert_int_equal(pages, BLOCKS * MANY - HUGE - 1);
    assert_int_equal(walk_pending(&fixture->walk), HUGE + 1);
    assert_int_equal(take_count(&fixture->walk), HUGE + 1);
}

/* ---- all at once ----------------------------------------------------------------------------------------------- */

/* Each page once; a host page by one taker only; a batch within one host page. */
static void saw(struct fixture *fixture, int me, const struct page_batch *batch)
{
    unsigned block = batch->block->index;
    uint64_t lowest = UINT64_MAX, highest = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        uint64_t page = batch->pages[i], host = page / host_pages[block];
        int nobody = 0;

        if (i > 0 && page <= batch->pages[i - 1]) /* all are zero: one part */
            atomic_fetch_add(&fixture->errors, 1);
        lowest = page < lowest ? page : lowest;
        highest = page > highest ? page : highest;
        atomic_fetch_add(&fixture->seen[block][page], 1);
        if (!atomic_compare_exchange_strong(&fixture->taker[block][host], &nobody, me) && nobody != me)
            atomic_fetch_add(&fixture->errors, 1);
    }
    if (host_pages[block] > 1 && lowest / host_pages[block] != highest / host_pages[block])
        atomic_fetch_add(&fixture->errors, 1);
    if (batch->count == 0 || batch->count > batch->limit || batch->normal > 0)
        atomic_fetch_add(&fixture->errors, 1);
}

static void *take_all(void *opaque)
{
    struct fixture *fixture = opaque;
    int me = (int)atomic_fetch_add(&fixture->takers, 1) + 1;
    struct walk_claim claim = { 0 };
    struct page_batch batch;

    batch.limit = me % 2 ? BATCH_PAGES : BATCH_PAGES_MAX;
    while (walk_take(&fixture->walk, me == 1 ? NULL : &claim, &batch))
        saw(fixture, me, &batch);
    return NULL;
}

static void *request_some(void *opaque)
{
    struct fixture *fixture = opaque;
    int me = TAKERS + 1;
    uint64_t random = 88172645463325252ull;
    struct walk_claim claim = { 0 };
    struct page_batch batch;

    batch.limit = BATCH_PAGES;
    for (unsigned i = 0; i < 3000; i++) {
        const struct ram_block *block;
        struct walk_near near;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        block = fixture->map.blocks[random % BLOCKS];
        near = (struct walk_near){ .block = block, .first = random / 8 % MANY, .stride = 1, .count = 40 };
        walk_jump(&fixture->walk, block, near.first);
        if (walk_take_host_page(&fixture->walk, &claim, block, near.first, &batch))
            saw(fixture, me, &batch);
        while (walk_take_rest(&fixture->walk, &claim, &batch))
            saw(fixture, me, &batch);
        while (walk_take_near(&fixture->walk, &near, &batch))
            saw(fixture, me, &batch);
    }
    return NULL;
}

static void every_page_leaves_once_whoever_takes(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[TAKERS + 1];

    walk_begin_postcopy(&fixture->walk);
    for (unsigned i = 0; i <= TAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i == TAKERS ? request_some : take_all, fixture), 0);
    for (unsigned i = 0; i <= TAKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&fixture->errors), 0);
    assert_int_equal(walk_pending(&fixture->walk), 0);
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned page = 0; page < MANY; page++)
            assert_int_equal(atomic_load(&fixture->seen[i][page]), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_host_page_is_dirty_whole_or_not, make, unmake),
        cmocka_unit_test_setup_teardown(telling_of_runs_ends_when_it_is_told_to, make, unmake),
        cmocka_unit_test_setup_teardown(a_requested_page_leaves_once, make, unmake),
        cmocka_unit_test_setup_teardown(a_host_page_is_its_takers, make, unmake),
        cmocka_unit_test_setup_teardown(what_has_not_come_goes_again_and_nothing_else, make, unmake),
        cmocka_unit_test_setup_teardown(the_walk_goes_on_behind_a_request_and_comes_around, make, unmake),
        cmocka_unit_test_setup_teardown(neighbours_are_those_that_nobody_has_taken, make, unmake),
        cmocka_unit_test_setup_teardown(neighbours_backwards_come_in_ascending_order, make, unmake),
        cmocka_unit_test_setup_teardown(large_host_pages_have_no_neighbours, make, unmake),
        cmocka_unit_test_setup_teardown(untouched_memory_goes_in_whole_host_pages, make, unmake),
        cmocka_unit_test_setup_teardown(every_page_leaves_once_whoever_takes, make, unmake),
    };

    return cmocka_run_group_tests_name("page_walk_postcopy", tests, NULL, NULL);
}
