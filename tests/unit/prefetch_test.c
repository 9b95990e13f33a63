/* SPDX-License-Identifier: BSD-3-Clause */
/* prefetch_test.c - windows grow while they are used, and random requests bring none */
#include "prefetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 1000000

static struct ram_block block = { .pages = PAGES }, other = { .pages = PAGES, .index = 1 };

/* What follows a request; walks on from where the guest would fault next. */
static uint64_t request(struct prefetch *prefetch, const struct ram_block *of, uint64_t page, struct walk_near *near)
{
    prefetch_request(prefetch, of, page, near);
    return near->first + (uint64_t)near->stride * near->count;
}

static void windows_double_while_memory_is_read_in_order(void **state)
{
    struct prefetch prefetch;
    struct walk_near near;
    uint64_t page = 1000;
    unsigned requests = 0;

    prefetch_init(&prefetch, 64);
    page = request(&prefetch, &block, page, &near);
    assert_int_equal(near.first, 1001);
    assert_int_equal(near.stride, 1);
    assert_int_equal(near.count, 8);
    for (unsigned want = 16; want <= 64; want *= 2) {
        page = request(&prefetch, &block, page, &near);
        assert_int_equal(near.count, want);
        assert_true(near.block == &block);
    }
    for (; page < 11000; requests++) {
        page = request(&prefetch, &block, page, &near);
        assert_int_equal(near.count, 64);
    }
    assert_in_range(requests, 150, 160); /* for 10000 pages */
    assert_int_equal(prefetch.hits, 3 + requests);
    assert_int_equal(prefetch.window, 64);
}

static void the_other_way_is_found_too(void **state)
{
    struct prefetch prefetch;
    struct walk_near near;
    uint64_t page;

    prefetch_init(&prefetch, 32);
    request(&prefetch, &block, 5000, &near);
    page = request(&prefetch, &block, 4999, &near);
    assert_int_equal(near.stride, -1);
    for (unsigned i = 0; i < 6; i++)
        page = request(&prefetch, &block, page, &near);
    assert_int_equal(near.stride, -1);
    assert_int_equal(near.count, 32);
    assert_true(near.first < 4999);
}

static void a_stride_is_found(void **state)
{
    struct prefetch prefetch;
    struct walk_near near;
    uint64_t page;

    prefetch_init(&prefetch, 32);
    request(&prefetch, &block, 5000, &near);
    request(&prefetch, &block, 5100, &near);
    page = request(&prefetch, &block, 5200, &near);
    assert_int_equal(near.stride, 100);
    assert_int_equal(near.first, 5300);
    for (unsigned i = 0; i < 6; i++) {
        page = request(&prefetch, &block, page, &near);
        assert_int_equal(near.stride, 100);
        assert_int_equal(near.first % 100, 0);
    }
    assert_int_equal(near.count, 32);
}

static void a_request_within_a_window_goes_on_behind_it(void **state)
{
    struct prefetch prefetch;
    struct walk_near near;

    prefetch_init(&prefetch, 64);
    request(&prefetch, &block, 100, &near); /* 101 to 108 are on their way */
    request(&prefetch, &block, 104, &near);
    assert_int_equal(near.first, 109);
    assert_int_equal(near.count, 16);
    assert_int_equal(prefetch.hits, 1);
}

static uint64_t random_page(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x % PAGES;
}

static void random_requests_bring_none_after_a_few(void **state)
{
    uint64_t x = 88172645463325252u, sent = 0;
    struct prefetch prefetch;
    struct walk_near near;

    prefetch_init(&prefetch, 64);
    for (unsigned i = 0; i < 2000; i++) {
        prefetch_request(&prefetch, &block, random_page(&x), &near);
        sent += near.count;
    }
    assert_in_range(sent, 1, 200);

    /* And who begins to read in order has windows again, from the second page on. */
    prefetch_request(&prefetch, &block, 7000, &near);
    prefetch_request(&prefetch, &block, 7001, &near);
    assert_true(near.count >= 1);
    prefetch_request(&prefetch, &block, near.first + near.count, &near);
    assert_true(near.count >= 4);
}

static void several_streams_go_on_side_by_side(void **state)
{
    uint64_t page[8], x = 88172645463325252u;
    struct prefetch prefetch;
    struct walk_near near;

    prefetch_init(&prefetch, 64);
    for (unsigned i = 0; i < 8; i++)
        page[i] = request(&prefetch, i % 2 ? &other : &block, 100000 * (i + 1), &near);
    for (unsigned turn = 0; turn < 10; turn++) {
        for (unsigned i = 0; i < 8; i++)
            page[i] = request(&prefetch, i % 2 ? &other : &block, page[i], &near);
        prefetch_request(&prefetch, &block, random_page(&x), &near); /* somebody else */
    }
    for (unsigned i = 0; i < 8; i++) {
        page[i] = request(&prefetch, i % 2 ? &other : &block, page[i], &near);
        assert_int_equal(near.count, 64);
        assert_true(near.block == (i % 2 ? &other : &block));
    }
}

static void off_is_off(void **state)
{
    struct prefetch prefetch;
    struct walk_near near;
    uint64_t page = 10;

    prefetch_init(&prefetch, 0);
    for (unsigned i = 0; i < 10; i++, page++) {
        prefetch_request(&prefetch, &block, page, &near);
        assert_int_equal(near.count, 0);
    }
}

static void the_ends_of_memory_are_no_trouble(void **state)
{
    struct prefetch prefetch;
    struct walk_near near;

    prefetch_init(&prefetch, 64);
    prefetch_request(&prefetch, &block, 2, &near);
    prefetch_request(&prefetch, &block, 1, &near);
    prefetch_request(&prefetch, &block, 0, &near);
    assert_int_equal(near.count, 0);
    prefetch_request(&prefetch, &block, PAGES - 1, &near);
    prefetch_request(&prefetch, &block, PAGES - 1, &near);
    prefetch_request(&prefetch, &block, 0, &near);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_double_while_memory_is_read_in_order),
        cmocka_unit_test(the_other_way_is_found_too),
        cmocka_unit_test(a_stride_is_found),
        cmocka_unit_test(a_request_within_a_window_goes_on_behind_it),
        cmocka_unit_test(random_requests_bring_none_after_a_few),
        cmocka_unit_test(several_streams_go_on_side_by_side),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(the_ends_of_memory_are_no_trouble),
    };

    return cmocka_run_group_tests_name("prefetch", tests, NULL, NULL);
}
