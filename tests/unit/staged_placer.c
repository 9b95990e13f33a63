/* SPDX-License-Identifier: BSD-3-Clause */
/* staged_placer.c - placers that behave as those of postcopy do, on memory that is nobody's */
#include "staged_placer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POISON 0xa5

static uint8_t *staged_prepare(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                               uint64_t *got)
{
    struct staged_view *view = (struct staged_view *)placer;
    uint8_t *at;

    if (view->closed)
        view->used = 0;
    view->closed = false;
    assert_true(view->used < BATCH_PAGES_MAX);
    at = view->memory + (size_t)view->used * FERRY_PAGE_BYTES;
    for (*got = 0; *got < count && view->used < BATCH_PAGES_MAX; (*got)++, view->used++) {
        view->block[view->used] = block;
        view->page[view->used] = page + *got;
    }
    return at;
}

static const uint8_t *find(const struct staged_view *view, const struct ram_block *block, uint64_t page)
{
    for (unsigned i = 0; i < view->used; i++) {
        if (view->block[i] == block && view->page[i] == page)
            return view->memory + (size_t)i * FERRY_PAGE_BYTES;
    }
    return NULL;
}

/* In a block of large host pages: one at a time, each piece once. */
static bool fits_host_page(struct staged_view *view, const struct ram_block *block, uint64_t page)
{
    uint64_t host = block->info.page_size / FERRY_PAGE_BYTES;

    if (view->part_count > 0 && (view->part_block != block || view->part_host != page / host))
        return false;
    view->part_block = block;
    view->part_host = page / host;
    view->part_count = (view->part_count + 1) % host;
    return true;
}

static int place(struct staged_view *view, const struct ram_block *block, uint64_t page, const uint8_t *from,
                 struct ferry_error *err)
{
    struct staged *staged = view->all;

    if (!from)
        return ferry_error_set(err, -EPROTO, "page %d was not prepared", (int)page);
    if (!atomic_load(&staged->missing[block->index][page]))
        return ferry_error_set(err, -EPROTO, "page %d was not discarded", (int)page);
    if (!fits_host_page(view, block, page))
        return ferry_error_set(err, -EPROTO, "page %d is of another host page", (int)page);
    if (atomic_fetch_add(&staged->arrived[block->index][page], 1) == 0)
        memcpy(block->host + page * FERRY_PAGE_BYTES, from, FERRY_PAGE_BYTES);
    return 0;
}

static void tell(struct staged_view *view, uint64_t count)
{
    struct staged *staged = view->all;

    view->closed = true;
    atomic_fetch_add(&view->commits, 1);
    if (count > atomic_load(&view->longest))
        atomic_store(&view->longest, (unsigned)count);
    pthread_mutex_lock(&staged->lock);
    atomic_fetch_add(&staged->placed, count);
    pthread_cond_broadcast(&staged->changed);
    pthread_mutex_unlock(&staged->lock);
}

static int staged_commit(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                         struct ferry_error *err)
{
    struct staged_view *view = (struct staged_view *)placer;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < count; i++)
        ret = place(view, block, page + i, find(view, block, page + i), err);
    if (ret == 0)
        tell(view, count);
    return ret;
}

static int staged_zero(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                       struct ferry_error *err)
{
    static const uint8_t zeros[FERRY_PAGE_BYTES];
    struct staged_view *view = (struct staged_view *)placer;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < count; i++)
        ret = place(view, block, page + i, zeros, err);
    if (ret == 0)
        tell(view, count);
    return ret;
}

static void staged_free(struct placer *placer)
{
}

static const struct placer_ops staged_ops = {
    .prepare = staged_prepare,
    .commit = staged_commit,
    .zero = staged_zero,
    .free = staged_free,
};

void staged_make(struct staged *staged, const struct ram_map *map)
{
    memset(staged, 0, sizeof(*staged));
    staged->map = map;
    pthread_mutex_init(&staged->lock, NULL);
    pthread_cond_init(&staged->changed, NULL);
    for (unsigned i = 0; i < map->count; i++) {
        staged->missing[i] = calloc(map->blocks[i]->pages, 1);
        staged->arrived[i] = calloc(map->blocks[i]->pages, 1);
        assert_non_null(staged->missing[i]);
        assert_non_null(staged->arrived[i]);
    }
    for (unsigned i = 0; i < STAGED_VIEWS; i++) {
        staged->view[i].base.ops = &staged_ops;
        staged->view[i].all = staged;
        staged->view[i].memory = malloc((size_t)BATCH_PAGES_MAX * FERRY_PAGE_BYTES);
        assert_non_null(staged->view[i].memory);
    }
}

void staged_clear(struct staged *staged)
{
    for (unsigned i = 0; i < STAGED_BLOCKS; i++) {
        free(staged->missing[i]);
        free(staged->arrived[i]);
    }
    for (unsigned i = 0; i < STAGED_VIEWS; i++)
        free(staged->view[i].memory);
    pthread_cond_destroy(&staged->changed);
    pthread_mutex_destroy(&staged->lock);
}

void staged_discard(struct staged *staged, const struct ram_block *block, uint64_t first, uint64_t count)
{
    memset(block->host + first * FERRY_PAGE_BYTES, POISON, count * FERRY_PAGE_BYTES);
    for (uint64_t page = first; page < first + count; page++)
        atomic_store(&staged->missing[block->index][page], 1);
}

void staged_await(struct staged *staged, uint64_t pages)
{
    pthread_mutex_lock(&staged->lock);
    while (atomic_load(&staged->placed) < pages)
        pthread_cond_wait(&staged->changed, &staged->lock);
    pthread_mutex_unlock(&staged->lock);
}

void staged_assert_once(const struct staged *staged)
{
    for (unsigned i = 0; i < staged->map->count; i++) {
        for (uint64_t page = 0; page < staged->map->blocks[i]->pages; page++)
            assert_int_equal(atomic_load(&staged->arrived[i][page]), atomic_load(&staged->missing[i][page]));
    }
}
