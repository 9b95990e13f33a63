/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_uffd_async.c - dirty pages by write-protection that the kernel itself resolves
 *
 * Memory is registered with WP_ASYNC: the first write to a protected page costs one fault inside the kernel, which
 * lifts the protection and goes on.  PAGEMAP_SCAN finds the pages without protection ("written") and protects them
 * again, both under the page table's lock, so a write falls before that step and is in this report, or after it and
 * faults again and is in the next.
 *
 * Private memory.  What was never touched has no page tables.  Protecting it would make them, 2 MiB for each GiB, so
 * it is left alone and a scan asks only for pages that are there:
 *
 *     never touched         not there                          not reported, no cost
 *     first written         there, not protected               reported
 *     first read            there, the shared page of zeros    protected, not reported: see `held`
 *     known, written        there, not protected               reported
 *
 * The page of zeros also appears in places that held data: the kernel puts it there when it takes apart huge pages
 * that are mostly zero, and when it merges equal pages.  So `held` remembers which pages ever had content; a page of
 * zeros is a change exactly where it replaces content.  A page that huge pages made present is reported together with
 * its 511 neighbours, which the same fault made.
 *
 * Shared memory and hugetlbfs.  There a page can be there without this mapping knowing it, and leave it again; so all
 * of the range is protected at the start by markers in the page tables, and whatever has none is written.
 *
 * Giving memory back (MADV_DONTNEED) is not a write: nobody reports it.
 */
#include "bits.h"
#include "pagemap.h"
#include "tracker.h"
#include "userfault.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WANTED_FEATURES                                                                               \
    (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED | \
     UFFD_FEATURE_WP_ASYNC)

struct async_block {
    struct async_block *next;
    const void *host;
    bool registered;
    uint64_t *held; /* pages that ever had content; NULL: protected by markers */
};

struct uffd_async {
    int uffd;
    int pagemap;
    struct async_block *blocks;
};

static struct async_block **async_find(struct uffd_async *async, const struct ferry_block *block)
{
    struct async_block **at = &async->blocks;

    while (*at && (*at)->host != block->host)
        at = &(*at)->next;
    return at;
}

static bool async_needs_markers(const struct ferry_block *block)
{
    return !(block->flags & FERRY_BLOCK_PRIVATE) || block->page_size > FERRY_PAGE_BYTES;
}

static int async_note(struct uffd_async *async, const struct ferry_block *block, struct ferry_error *err)
{
    struct async_block *note = calloc(1, sizeof(*note));

    if (!note)
        goto fail;
    if (!async_needs_markers(block)) {
        note->held = calloc(bits_words(block->length >> FERRY_PAGE_SHIFT), sizeof(*note->held));
        if (!note->held)
            goto fail;
    }
    note->host = block->host;
    note->next = async->blocks;
    async->blocks = note;
    return 0;

fail:
    free(note);
    return ferry_error_set(err, -ENOMEM, "block '%s': no memory to watch it", block->name);
}

struct async_report {
    uint64_t *bitmap; /* NULL: only learn what is held */
    uint64_t *held;
};

static void async_found(void *opaque, uint64_t first, uint64_t count, unsigned categories)
{
    struct async_report *report = opaque;

    if (report->held && (categories & PAGEMAP_ZERO)) {
        if (report->bitmap)
            bits_or_range(report->bitmap, report->held, first, count);
        return;
    }
    if (report->bitmap)
        bits_set_range(report->bitmap, first, count);
    if (report->held)
        bits_set_range(report->held, first, count);
}

/* Find what is written, and protect it. */
static int async_scan(struct uffd_async *async, const struct ferry_block *block, struct async_report *report,
                      struct ferry_error *err)
{
    struct pagemap_query query = { .all = PAGEMAP_WRITTEN, .want = PAGEMAP_WRITTEN, .write_protect = true };

    if (report->held) {
        query.any = PAGEMAP_PRESENT | PAGEMAP_SWAPPED;
        query.want = PAGEMAP_ZERO;
    }
    return pagemap_scan(async->pagemap, block, &query, async_found, report, err);
}

static int async_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    struct uffd_async *async = opaque;
    struct async_report learn = { 0 };
    int rc = async_note(async, block, err);

    if (rc == 0)
        rc = userfault_register(async->uffd, block, UFFDIO_REGISTER_MODE_WP, UINT64_C(1) << _UFFDIO_WRITEPROTECT, err);
    if (rc < 0)
        return rc;
    async->blocks->registered = true;
    if (async_needs_markers(block)) {
        rc = userfault_protect(async->uffd, (uintptr_t)block->host, block->length, UFFDIO_WRITEPROTECT_MODE_WP);
        return rc < 0 ? ferry_error_set(err, rc, "block '%s': cannot be write-protected", block->name) : 0;
    }
    learn.held = async->blocks->held;
    return async_scan(async, block, &learn, err);
}

static int async_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    struct uffd_async *async = opaque;
    struct async_block *note = *async_find(async, block);
    struct async_report report = { .bitmap = bitmap };

    if (!note)
        return ferry_error_set(err, -EINVAL, "block '%s' is not watched", block->name);
    report.held = note->held;
    return async_scan(async, block, &report, err);
}

static void async_stop(void *opaque, const struct ferry_block *block)
{
    struct uffd_async *async = opaque;
    struct async_block **at = async_find(async, block);
    struct async_block *note = *at;

    if (!note)
        return;
    if (note->registered)
        userfault_unregister(async->uffd, block);
    *at = note->next;
    free(note->held);
    free(note);
}

static const struct ferry_tracker_ops async_ops = {
    .name = "uffd-async",
    .start = async_start,
    .sync = async_sync,
    .stop = async_stop,
};

int tracker_uffd_async_new(struct tracker *tracker, struct ferry_error *err)
{
    struct uffd_async *async = calloc(1, sizeof(*async));
    int rc;

    if (!async)
        return ferry_error_set(err, -ENOMEM, "no memory for a tracker");
    async->pagemap = -1;
    /* No fault ever reaches a handler, so even writes by the kernel need no privilege. */
    rc = async->uffd = userfault_open(USERFAULT_USER_ONLY, WANTED_FEATURES, err);
    if (rc >= 0)
        rc = async->pagemap = pagemap_open(err);
    *tracker = (struct tracker){ &async_ops, async };
    if (rc >= 0)
        return 0;
    tracker_uffd_async_free(tracker);
    return rc;
}

void tracker_uffd_async_free(struct tracker *tracker)
{
    struct uffd_async *async = tracker->opaque;

    if (!async)
        return;
    while (async->blocks) {
        struct async_block *note = async->blocks;

        async->blocks = note->next;
        free(note->held);
        free(note);
    }
    if (async->uffd >= 0)
        close(async->uffd); /* unregisters what is still registered */
    if (async->pagemap >= 0)
        close(async->pagemap);
    free(async);
    *tracker = (struct tracker){ 0 };
}
