/* SPDX-License-Identifier: BSD-3-Clause */
/* page_requests_test.c - requested pages come first, once and in order, their neighbours after them, and nonsense not
 */
#include "clock.h"
#include "page_requests.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGE  ((uint64_t)FERRY_PAGE_BYTES)
#define HUGE  (512 * PAGE)
#define PAGES 16384 /* of the block of small pages; more than the ring takes */

struct fixture {
    struct ram_map map;
    struct page_walk walk;
    struct ram_block *small, *huge;
};

static int make(void **state)
{
    static struct fixture fixture;
    struct ferry_block info = { .name = "small", .length = PAGES * PAGE, .page_size = FERRY_PAGE_BYTES };

    memset(&fixture, 0, sizeof(fixture));
    ram_map_init(&fixture.map);
    info.host = mmap(NULL, info.length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(info.host, MAP_FAILED);
    assert_int_equal(ram_map_add(&fixture.map, &info, NULL), 0);
    info.name = "huge";
    info.length = 4 * HUGE;
    info.page_size = HUGE;
    info.host = aligned_alloc(HUGE, info.length);
    assert_non_null(info.host);
    memset(info.host, 1, info.length);
    assert_int_equal(ram_map_add(&fixture.map, &info, NULL), 0);
    fixture.small = fixture.map.blocks[0];
    fixture.huge = fixture.map.blocks[1];
    assert_int_equal(walk_init(&fixture.walk, &fixture.map, NULL), 0);
    walk_begin_postcopy(&fixture.walk);
    *state = &fixture;
    return 0;
}

static int unmake(void **state)
{
    struct fixture *fixture = *state;

    walk_clear(&fixture->walk);
    munmap(fixture->small->host, PAGES * PAGE);
    free(fixture->huge->host);
    ram_map_clear(&fixture->map);
    return 0;
}

static void push(struct page_requests *requests, const struct ram_block *block, uint64_t start, uint64_t length)
{
    assert_int_equal(page_requests_push(requests, block, start, length, NULL), 0);
}

static void what_was_asked_for_comes_in_order_and_once(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 0, NULL);
    static const uint64_t pages[] = { 9, 4, 4000, 5 };
    struct page_batch batch = { .limit = BATCH_PAGES };
    struct page_requests_figures figures;

    for (unsigned i = 0; i < 4; i++)
        push(requests, fixture->small, pages[i] * PAGE, PAGE);
    push(requests, fixture->small, 4 * PAGE, 2 * PAGE); /* both asked for already */
    assert_true(page_requests_waiting(requests));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
        assert_int_equal(batch.count, 1);
        assert_int_equal(batch.pages[0], pages[i]);
        assert_int_equal(batch.limit, BATCH_PAGES);
    }
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_NONE);
    assert_false(page_requests_waiting(requests));

    assert_true(walk_take(&fixture->walk, NULL, &batch)); /* the background, behind the last request */
    assert_int_equal(batch.pages[0], 6);
    push(requests, fixture->small, 7 * PAGE, PAGE);
    assert_int_equal(page_requests_next(requests, &batch, NS_PER_MS), PAGE_REQUESTS_NONE);
    page_requests_figures(requests, &figures);
    assert_int_equal(figures.requests, 7);
    assert_int_equal(figures.repeated, 2);
    assert_int_equal(figures.already_sent, 1);
    assert_int_equal(figures.pages, 4);
    assert_int_equal(figures.prefetched, 0);
    page_requests_free(requests);
}

static void a_large_page_comes_whole(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 64, NULL);
    struct page_batch batch = { .limit = 200 };

    push(requests, fixture->huge, HUGE, HUGE);
    push(requests, fixture->small, 0, PAGE);
    for (unsigned at = 0; at < 512; at += batch.count) {
        assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
        assert_ptr_equal(batch.block, fixture->huge);
        assert_int_equal(batch.pages[0], 512 + at);
    }
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
    assert_ptr_equal(batch.block, fixture->small);
    page_requests_free(requests);
}

static void nonsense_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 64, NULL);
    const struct {
        const struct ram_block *block;
        uint64_t start, length;
    } bad[] = {
        { fixture->small, 0, 0 },
        { fixture->small, 1, PAGE },
        { fixture->small, 0, PAGE + 1 },
        { fixture->small, PAGES * PAGE, PAGE },
        { fixture->small, (PAGES - 1) * PAGE, 2 * PAGE },
        { fixture->small, UINT64_MAX - PAGE + 1, PAGE },
        { fixture->small, UINT64_MAX - PAGE + 1, 2 * PAGE },
        { fixture->small, PAGE, UINT64_MAX - PAGE + 1 },
        { fixture->huge, 0, PAGE },
        { fixture->huge, PAGE, HUGE },
        { fixture->huge, 3 * HUGE, 2 * HUGE },
    };
    struct page_requests_figures figures;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ferry_error err = { 0 };

        assert_int_equal(page_requests_push(requests, bad[i].block, bad[i].start, bad[i].length, &err), -EPROTO);
        assert_int_equal(err.code, FERRY_E_BAD_RETURN_MESSAGE);
        assert_non_null(strstr(err.text, bad[i].block->info.name));
    }
    assert_false(page_requests_waiting(requests));
    page_requests_figures(requests, &figures);
    assert_int_equal(figures.requests, 0);
    page_requests_free(requests);
}

/* Far more than any guest waits for at once: bounded, and those that found no place may be asked for again. */
static void a_flood_is_forgotten_and_may_come_again(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 0, NULL);
    struct page_batch batch = { .limit = BATCH_PAGES };
    struct page_requests_figures figures;
    uint64_t handed = 0;

    for (uint64_t page = 0; page < PAGES; page += 2)
        push(requests, fixture->small, page * PAGE, PAGE);
    while (page_requests_next(requests, &batch, 0) == PAGE_REQUESTS_URGENT)
        handed += batch.count;
    page_requests_figures(requests, &figures);
    assert_true(figures.forgotten > 0);
    assert_int_equal(handed + figures.forgotten, PAGES / 2);
    push(requests, fixture->small, (PAGES - 2) * PAGE, PAGE);
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
    assert_int_equal(batch.pages[0], PAGES - 2);

    push(requests, fixture->small, 0, PAGES * PAGE); /* all at once is one place */
    for (handed = 0; page_requests_next(requests, &batch, 0) == PAGE_REQUESTS_URGENT; handed += batch.count)
        ;
    assert_int_equal(walk_pending(&fixture->walk), 4 * 512);
    page_requests_free(requests);
}

/* Each message asks for one page more than the last, and for all before it once more. */
static void asking_again_and_again_is_not_answered_again_and_again(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 0, NULL);
    struct page_batch batch = { .limit = BATCH_PAGES };
    struct page_requests_figures figures;
    uint64_t handed = 0, asked = 4000, middle = PAGES / 2;

    for (uint64_t count = 1; count <= asked; count++)
        push(requests, fixture->small, 0, count * PAGE);
    for (uint64_t page = 1; page <= asked; page++)
        push(requests, fixture->huge, 0, HUGE);
    while (page_requests_next(requests, &batch, 0) == PAGE_REQUESTS_URGENT)
        handed += batch.count;
    assert_int_equal(handed, asked + 512);
    for (uint64_t reach = 1; reach <= 2000; reach++) /* a page more at either end */
        push(requests, fixture->small, (middle - reach) * PAGE, 2 * reach * PAGE);
    for (handed = 0; page_requests_next(requests, &batch, 0) == PAGE_REQUESTS_URGENT; handed += batch.count)
        assert_true(batch.pages[0] >= middle - 2000 && batch.pages[0] < middle + 2000);
    page_requests_figures(requests, &figures);
    assert_true(figures.already_sent < 4 * 4000);
    assert_int_equal(figures.requests, asked * (asked + 1) / 2 + asked + 2000 * 2001);
    assert_int_equal(handed + figures.forgotten, 4000);
    page_requests_free(requests);
}

static void neighbours_follow_and_a_new_request_goes_first(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 64, NULL);
    struct page_batch batch = { .limit = BATCH_PAGES };
    struct page_requests_figures figures;
    uint64_t next = 1001;

    push(requests, fixture->small, 1000 * PAGE, PAGE);
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_PREFETCH);
    assert_int_equal(batch.pages[0], 1001);
    assert_true(batch.count <= 16);
    next += batch.count;
    push(requests, fixture->small, 5000 * PAGE, PAGE);
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
    assert_int_equal(batch.pages[0], 5000);
    while (page_requests_next(requests, &batch, 0) == PAGE_REQUESTS_PREFETCH)
        next += batch.pages[0] == next ? batch.count : 0;
    push(requests, fixture->small, next * PAGE, PAGE);
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_URGENT);
    page_requests_figures(requests, &figures);
    assert_int_equal(figures.prefetch_hits, 1);
    assert_true(figures.window >= 16);
    assert_true(figures.prefetched >= 8);

    page_requests_close(requests); /* neighbours are of no interest any more */
    assert_int_equal(page_requests_next(requests, &batch, -1), PAGE_REQUESTS_CLOSED);
    page_requests_free(requests);
}

static void *close_soon(void *opaque)
{
    struct page_requests *requests = opaque;

    clock_sleep_until_ns(clock_now_ns() + 5 * NS_PER_MS);
    page_requests_close(requests);
    return NULL;
}

static void what_was_asked_for_is_handed_out_before_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct page_requests *requests = page_requests_new(&fixture->walk, 64, NULL);
    struct page_batch batch = { .limit = BATCH_PAGES };
    pthread_t thread;

    push(requests, fixture->small, 7 * PAGE, PAGE);
    page_requests_close(requests);
    assert_int_equal(page_requests_next(requests, &batch, -1), PAGE_REQUESTS_URGENT);
    assert_int_equal(page_requests_next(requests, &batch, -1), PAGE_REQUESTS_CLOSED);

    page_requests_reset(requests);
    assert_int_equal(page_requests_next(requests, &batch, 0), PAGE_REQUESTS_NONE);
    assert_int_equal(pthread_create(&thread, NULL, close_soon, requests), 0);
    assert_int_equal(page_requests_next(requests, &batch, -1), PAGE_REQUESTS_CLOSED);
    pthread_join(thread, NULL);
    page_requests_free(requests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_asked_for_comes_in_order_and_once, make, unmake),
        cmocka_unit_test_setup_teardown(a_large_page_comes_whole, make, unmake),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_flood_is_forgotten_and_may_come_again, make, unmake),
        cmocka_unit_test_setup_teardown(asking_again_and_again_is_not_answered_again_and_again, make, unmake),
        cmocka_unit_test_setup_teardown(neighbours_follow_and_a_new_request_goes_first, make, unmake),
        cmocka_unit_test_setup_teardown(what_was_asked_for_is_handed_out_before_the_end, make, unmake),
    };

    return cmocka_run_group_tests_name("page_requests", tests, NULL, NULL);
}
