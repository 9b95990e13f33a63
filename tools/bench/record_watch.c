/* SPDX-License-Identifier: BSD-3-Clause */
/* record_watch.c - what another process writes, noted by the kernel
 *
 * As tracker_uffd_async.c does it for this process.  Memory with a userfaultfd of its own (a guest in postcopy) cannot
 * have a second one, and is not seen.
 */
#include "record_target.h"

#include "pagemap.h"
#include "userfault.h"

#include <errno.h>
#include <stddef.h>

#define WANTED_FEATURES                                                                               \
    (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED | \
     UFFD_FEATURE_WP_ASYNC)

struct looking {
    const struct record_area *area;
    struct dirty_trace *trace; /* NULL: only protect */
};

static void found(void *opaque, uint64_t first, uint64_t count, unsigned categories)
{
    const struct looking *looking = opaque;

    if (looking->trace && !(categories & PAGEMAP_ZERO))
        dirty_trace_run(looking->trace, looking->area->base + first, count);
}

static struct ferry_block block_of(const struct record_area *area)
{
    return (struct ferry_block){ .name = area->name,
                                 .host = (void *)(uintptr_t)area->start,
                                 .length = area->pages * FERRY_PAGE_BYTES,
                                 .page_size = FERRY_PAGE_BYTES };
}

/* What is there and not protected was written.  In shared memory what is not there may be as well, so it has markers.
 */
static void look(struct record_target *target, struct record_area *area, struct dirty_trace *trace)
{
    struct pagemap_query query = { .all = PAGEMAP_WRITTEN,
                                   .any = area->shared ? 0 : PAGEMAP_PRESENT | PAGEMAP_SWAPPED,
                                   .want = PAGEMAP_ZERO,
                                   .write_protect = true };
    struct looking looking = { area, trace };
    struct ferry_block block = block_of(area);
    struct ferry_error err;

    if (pagemap_scan(target->pagemap, &block, &query, found, &looking, &err) < 0)
        area->gone = true;
}

static void watch_area(struct record_target *target, struct record_area *area)
{
    struct ferry_block block = block_of(area);
    struct ferry_error err;

    if (userfault_register(target->uffd, &block, UFFDIO_REGISTER_MODE_WP, UINT64_C(1) << _UFFDIO_WRITEPROTECT, &err) <
        0)
        area->gone = true;
    else if (area->shared)
        area->gone = userfault_protect(target->uffd, area->start, block.length, UFFDIO_WRITEPROTECT_MODE_WP) < 0;
    else
        look(target, area, NULL);
}

static int start(struct record_target *target, struct ferry_error *err)
{
    unsigned watched = 0;
    int ret;

    target->uffd = record_door(target, err);
    if (target->uffd < 0)
        return target->uffd;
    ret = userfault_agree(target->uffd, WANTED_FEATURES, err);
    for (unsigned i = 0; ret == 0 && i < target->count; i++) {
        watch_area(target, &target->area[i]);
        watched += !target->area[i].gone;
    }
    if (ret == 0 && watched == 0)
        ret = ferry_error_set(err, -EBUSY, "no memory of process %d can be watched", (int)target->pid);
    return ret;
}

const struct record_way record_watch = {
    .name = "uffd-async",
    .words = "the kernel notes its writes (a userfaultfd was made in it)",
    .start = start,
    .look = look,
};
