/* SPDX-License-Identifier: BSD-3-Clause */
/* prefault.c - makes the destination's memory ready ahead of the data
 *
 * Memory is counted in chunks of 2 MiB of address space, the size of a huge page.  Receivers publish which chunk they
 * are in and how many pages have arrived; the helper sleeps until the chunk changes, and then judges by the pages per
 * chunk passed since it looked last: at least a quarter of them, and the window doubles; fewer, and it halves.  One
 * page makes a whole huge page ready, so where there are huge pages nothing is made in vain.
 *
 *     chunk   |  17  |  18  |  19  |  20  |  21  |
 *              ======|==     ......|......
 *                    ^ here        ^ ready up to here, window 2
 *
 * The helper works only where a processor has nothing else to do (idle.h).  Where there is none, it would take its time
 * from the receiver, who makes a page ready cheaper when it then writes it at once, with the zeros still in its cache.
 *
 * Populating changes no content, so doing it late, twice or in the wrong place only wastes time; that is why the
 * receivers' figures need no lock and may even be a little wrong when several threads publish at once.
 */
#include "prefault.h"

#include "idle.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define CHUNK_SHIFT 21
#define CHUNK_PAGES (UINT64_C(1) << (CHUNK_SHIFT - FERRY_PAGE_SHIFT))
#define WINDOW_MAX  (PREFAULT_AHEAD_BYTES >> CHUNK_SHIFT)

struct prefault {
    pthread_t thread;
    struct idle *idle;
    int wake_fd;
    atomic_bool stop;
    atomic_bool sleeping; /* the helper waits for wake_fd */

    /* Published by receivers. */
    _Atomic(const struct ram_block *) block;
    _Atomic(uint64_t) chunk; /* address >> CHUNK_SHIFT of the newest page */
    _Atomic(uint64_t) pages; /* arrived so far; lossy */
    _Atomic(uint64_t) advised[FERRY_BLOCKS_MAX / 64];
};

/* The helper's own view. */
struct prefault_view {
    const struct ram_block *block;
    uint64_t chunk;  /* where the receivers were when it looked last */
    uint64_t pages;  /* arrived by then */
    uint64_t ready;  /* chunks below this one need nothing */
    uint64_t window; /* chunks to be ready ahead; 0: none */
    bool refused;    /* the kernel would not populate this block */
};

/* Let the helper judge what is to do at @chunk. */
static void prefault_look(struct prefault *prefault, struct prefault_view *view, uint64_t chunk)
{
    const struct ram_block *block = atomic_load(&prefault->block);
    uint64_t pages = atomic_load_explicit(&prefault->pages, memory_order_relaxed);
    uint64_t passed = chunk - view->chunk;

    if (block != view->block || chunk < view->chunk) {
        view->refused = view->refused && block == view->block;
        view->block = block;
        view->window = 0;
        view->ready = 0;
    } else if (pages - view->pages >= passed * (CHUNK_PAGES / 4)) {
        view->window = view->window ? 2 * view->window : 1;
        if (view->window > WINDOW_MAX)
            view->window = WINDOW_MAX;
    } else {
        view->window /= 2;
    }
    view->chunk = chunk;
    view->pages = pages;
    if (view->ready <= chunk)
        view->ready = chunk + 1;
}

/* Is there a chunk to be made ready? */
static bool prefault_wants(const struct prefault_view *view)
{
    return !view->refused && view->ready <= view->chunk + view->window;
}

/* Populate what of @chunk lies in the block.  Returns false when there is nothing (more) to do there. */
static bool prefault_populate(struct prefault_view *view, uint64_t chunk)
{
    uint64_t start = chunk << CHUNK_SHIFT;
    uint64_t end = start + (UINT64_C(1) << CHUNK_SHIFT);
    uint64_t block_start = (uintptr_t)view->block->host;
    uint64_t block_end = block_start + view->block->info.length;

    if (start < block_start)
        start = block_start;
    if (end > block_end)
        end = block_end;
    if (start >= end)
        return false;
    while (madvise((void *)(uintptr_t)start, end - start, MADV_POPULATE_WRITE) < 0) {
        if (errno == EINTR || errno == EAGAIN)
            continue;
        log_debug(LOG_MEMORY, "block '%s': not populated ahead: %s", view->block->info.name, strerror(errno));
        view->refused = true;
        return false;
    }
    return true;
}

/* Wait until the receivers are in another chunk.  Returns false at the end. */
static bool prefault_wait(struct prefault *prefault, const struct prefault_view *view, uint64_t *chunk)
{
    uint64_t ignored;

    for (;;) {
        atomic_store(&prefault->sleeping, true);
        *chunk = atomic_load(&prefault->chunk);
        if (atomic_load(&prefault->stop) || *chunk != view->chunk)
            break;
        while (read(prefault->wake_fd, &ignored, sizeof(ignored)) < 0 && errno == EINTR)
            ;
    }
    atomic_store(&prefault->sleeping, false);
    return !atomic_load(&prefault->stop);
}

static void *prefault_thread(void *opaque)
{
    struct prefault *prefault = opaque;
    struct prefault_view view = { 0 };
    uint64_t chunk;

    while (prefault_wait(prefault, &view, &chunk)) {
        prefault_look(prefault, &view, chunk);
        /* One chunk at a time, and never behind: look again as soon as the receivers have moved on. */
        for (; prefault_wants(&view); view.ready++) {
            idle_wait(prefault->idle);
            chunk = atomic_load(&prefault->chunk);
            if (chunk != view.chunk)
                prefault_look(prefault, &view, chunk);
            if (atomic_load(&prefault->stop) || !prefault_wants(&view) || !prefault_populate(&view, view.ready))
                break;
        }
    }
    return NULL;
}

static void prefault_wake(struct prefault *prefault)
{
    uint64_t one = 1;

    while (write(prefault->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* Huge pages, once per block and before its first page is written. */
static void prefault_advise(struct prefault *prefault, const struct ram_block *block)
{
    uint64_t mask = UINT64_C(1) << (block->index % 64);

    if (atomic_load_explicit(&prefault->advised[block->index / 64], memory_order_relaxed) & mask)
        return;
    if (atomic_fetch_or(&prefault->advised[block->index / 64], mask) & mask)
        return;
    if (block->info.flags & FERRY_BLOCK_PRIVATE && block->info.page_size == FERRY_PAGE_BYTES)
        (void)madvise(block->host, block->info.length, MADV_HUGEPAGE);
}

void prefault_arrived(struct prefault *prefault, const struct ram_block *block, uint64_t page, uint64_t count)
{
    uint64_t last = (uintptr_t)block->host + ((page + count) << FERRY_PAGE_SHIFT) - 1;
    uint64_t chunk = last >> CHUNK_SHIFT;
    uint64_t known = atomic_load_explicit(&prefault->chunk, memory_order_relaxed);
    uint64_t pages = atomic_load_explicit(&prefault->pages, memory_order_relaxed);

    if (atomic_load_explicit(&prefault->stop, memory_order_relaxed))
        return;
    atomic_store_explicit(&prefault->pages, pages + count, memory_order_relaxed);
    /* A little behind: another thread's neighbouring batch, no news. */
    if (known - chunk < WINDOW_MAX && atomic_load_explicit(&prefault->block, memory_order_relaxed) == block)
        return;
    prefault_advise(prefault, block);
    atomic_store(&prefault->block, block);
    atomic_store(&prefault->chunk, chunk);
    if (atomic_load(&prefault->sleeping) && atomic_exchange(&prefault->sleeping, false))
        prefault_wake(prefault);
}

struct prefault *prefault_new(struct ferry_error *err)
{
    struct prefault *prefault = NULL;
    int rc;

    /* Of no memory at all, the call only says whether the kernel knows it. */
    if (madvise(NULL, 0, MADV_POPULATE_WRITE) < 0) {
        ferry_error_set(err, -ENOTSUP, "this kernel cannot populate memory ahead (Linux 5.14)");
        return NULL;
    }
    prefault = calloc(1, sizeof(*prefault));
    if (!prefault) {
        ferry_error_set(err, -ENOMEM, "no memory for the helper that populates");
        return NULL;
    }
    prefault->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (prefault->wake_fd < 0) {
        ferry_error_set(err, -errno, "eventfd: %s", strerror(errno));
        goto fail;
    }
    prefault->idle = idle_new(err);
    if (!prefault->idle)
        goto fail;
    rc = -pthread_create(&prefault->thread, NULL, prefault_thread, prefault);
    if (rc < 0) {
        ferry_error_set(err, rc, "no thread to populate memory: %s", strerror(-rc));
        idle_end(prefault->idle);
        goto fail;
    }
    return prefault;

fail:
    idle_free(prefault->idle);
    if (prefault->wake_fd >= 0)
        close(prefault->wake_fd);
    free(prefault);
    return NULL;
}

void prefault_stop(struct prefault *prefault)
{
    if (!prefault || atomic_exchange(&prefault->stop, true))
        return;
    idle_end(prefault->idle);
    prefault_wake(prefault);
    pthread_join(prefault->thread, NULL);
}

void prefault_free(struct prefault *prefault)
{
    if (!prefault)
        return;
    prefault_stop(prefault);
    idle_free(prefault->idle);
    close(prefault->wake_fd);
    free(prefault);
}
