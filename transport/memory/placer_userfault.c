/* SPDX-License-Identifier: BSD-3-Clause */
/* placer_userfault.c - where one thread puts the pages that it receives in postcopy
 *
 *      prepare  b 7..9     staging |7|8|9|                    pieces {7,3,@0}
 *      prepare  b 20..21           |7|8|9|20|21|                     {7,3,@0} {20,2,@3}
 *      (the channel is read into it)
 *      commit   b 7..9     one UFFDIO_COPY of 3 pages
 *      commit   b 20..21   one of 2
 *      prepare  ...        from the start again: the same 2 MiB at most, which the processor has in its cache
 */
#include "placer_userfault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STAGING_BYTES ((size_t)BATCH_PAGES_MAX << FERRY_PAGE_SHIFT)

struct piece {
    const struct ram_block *block;
    uint64_t first;
    unsigned count, offset; /* pages; where in the staging */
};

/* One thread's, all of it. */
struct placer_userfault {
    struct placer base;
    struct postcopy_ram *ram; /* borrowed */
    uint8_t *staging;         /* owned: BATCH_PAGES_MAX pages, and one for what may not come */
    unsigned used;            /* pages of it */
    bool committing;          /* the batch is being made the guest's: the next prepare begins another */
    unsigned pieces;
    unsigned next; /* the piece that is most likely committed next */
    struct piece piece[BATCH_PAGES_MAX];
    struct assembly assembly;
};

static uint8_t *view_prepare(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                             uint64_t *got)
{
    struct placer_userfault *view = (struct placer_userfault *)placer;
    struct postcopy_block *at = &view->ram->blocks[block->index];
    uint64_t left;
    uint8_t *place;

    if (view->committing) {
        view->used = view->pieces = view->next = 0;
        view->committing = false;
        assembly_forget(&view->assembly);
    }
    left = BATCH_PAGES_MAX - view->used;
    if (at->host_pages > 1) {
        place = assembly_prepare(&view->assembly, at, page, count, got);
        if (place)
            return place;
        left = 0;
    }
    if (left == 0) {
        /* It is read to where it harms nobody, and refused at its commit. */
        *got = 1;
        return view->staging + STAGING_BYTES;
    }
    *got = count < left ? count : left;
    view->piece[view->pieces++] = (struct piece){ block, page, (unsigned)*got, view->used };
    place = view->staging + ((size_t)view->used << FERRY_PAGE_SHIFT);
    view->used += (unsigned)*got;
    return place;
}

/* The piece that has @page: mostly the one behind the last. */
static const struct piece *view_find(struct placer_userfault *view, const struct ram_block *block, uint64_t page)
{
    for (unsigned i = 0; i < view->pieces; i++) {
        const struct piece *piece = &view->piece[view->next];

        if (piece->block == block && page - piece->first < piece->count)
            return piece;
        view->next = (view->next + 1) % view->pieces;
    }
    return NULL;
}

static int view_refuse(const struct ram_block *block, uint64_t page, const char *why, struct ferry_error *err)
{
    ferry_error_set_code(err, FERRY_E_BAD_PAGE_RECORD, -EPROTO, "block '%s' page %" PRIu64 ": %s", block->info.name,
                         page, why);
    ferry_error_object(err, "%s", block->info.name);
    return -EPROTO;
}

static int view_check(struct placer_userfault *view, const struct ram_block *block, uint64_t page, uint64_t count,
                      struct ferry_error *err)
{
    if (atomic_load(&view->ram->state) != POSTCOPY_LISTENING)
        return view_refuse(block, page, "it came while the destination does not listen", err);
    if (page >= block->pages || count > block->pages - page)
        return view_refuse(block, page, "it is not in its block", err);
    return 0;
}

static int view_commit(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                       struct ferry_error *err)
{
    struct placer_userfault *view = (struct placer_userfault *)placer;
    struct postcopy_block *at = &view->ram->blocks[block->index];
    int ret = view_check(view, block, page, count, err);

    view->committing = true;
    if (ret == 0 && count > 0 && at->host_pages > 1)
        return assembly_commit(&view->assembly, view->ram, at, page, count, false, err);
    while (ret == 0 && count > 0) {
        const struct piece *piece = view_find(view, block, page);
        uint64_t from, now;

        if (!piece)
            return view_refuse(block, page, "more pages at once than were agreed", err);
        from = page - piece->first;
        now = count < piece->count - from ? count : piece->count - from;
        ret = postcopy_install(view->ram, at, page, now, view->staging + ((piece->offset + from) << FERRY_PAGE_SHIFT),
                               err);
        page += now;
        count -= now;
    }
    return ret;
}

static int view_zero(struct placer *placer, const struct ram_block *block, uint64_t page, uint64_t count,
                     struct ferry_error *err)
{
    struct placer_userfault *view = (struct placer_userfault *)placer;
    struct postcopy_block *at = &view->ram->blocks[block->index];
    int ret = view_check(view, block, page, count, err);

    view->committing = true;
    if (ret < 0)
        return ret;
    if (at->host_pages > 1)
        return assembly_commit(&view->assembly, view->ram, at, page, count, true, err);
    return postcopy_install(view->ram, at, page, count, NULL, err);
}

static bool view_untouched(struct placer *placer, const struct ram_block *block, uint64_t page)
{
    struct placer_userfault *view = (struct placer_userfault *)placer;
    struct postcopy_block *at = &view->ram->blocks[block->index];

    return !atomic_bits_test(at->received, page) && !assembly_has(&view->assembly, at, page);
}

static void view_free(struct placer *placer)
{
    struct placer_userfault *view = (struct placer_userfault *)placer;

    assembly_clear(&view->assembly);
    munmap(view->staging, STAGING_BYTES + FERRY_PAGE_BYTES);
    free(view);
}

static const struct placer_ops view_ops = {
    .prepare = view_prepare,
    .commit = view_commit,
    .zero = view_zero,
    .untouched = view_untouched,
    .free = view_free,
};

struct placer *postcopy_ram_placer(struct postcopy_ram *ram, struct ferry_error *err)
{
    struct placer_userfault *view = calloc(1, sizeof(*view));
    void *staging = mmap(NULL, STAGING_BYTES + FERRY_PAGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (!view || staging == MAP_FAILED) {
        ferry_error_set(err, -ENOMEM, "no memory for pages on their way");
        if (staging != MAP_FAILED)
            munmap(staging, STAGING_BYTES + FERRY_PAGE_BYTES);
        free(view);
        return NULL;
    }
    view->base.ops = &view_ops;
    view->ram = ram;
    view->staging = staging;
    return &view->base;
}
