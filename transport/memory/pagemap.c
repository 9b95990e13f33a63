/* SPDX-License-Identifier: BSD-3-Clause */
/* pagemap.c - what the kernel knows about pages
 *
 * The kernel fills a vector of ranges and says where it stopped when the vector was full; so a scan is a loop that
 * starts again there.  Neighbouring pages of equal categories come as one range, so a dense block needs few rounds.
 */
#include "pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Kernel headers older than 6.7 lack all of this. */
#ifndef PAGEMAP_SCAN
struct page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct pm_scan_arg {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define PAGEMAP_SCAN          _IOWR('f', 16, struct pm_scan_arg)
#define PM_SCAN_WP_MATCHING   (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)
#endif

#define SCAN_REGIONS 512 /* 12 KiB of stack */
#define READ_ENTRIES 1024

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)

int pagemap_open(struct ferry_error *err)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return ferry_error_set(err, -errno, "/proc/self/pagemap: %s", strerror(errno));
    return fd;
}

int pagemap_scan(int fd, const struct ferry_block *block, const struct pagemap_query *query, pagemap_found *found,
                 void *opaque, struct ferry_error *err)
{
    struct page_region regions[SCAN_REGIONS];
    uint64_t host = (uintptr_t)block->host;
    struct pm_scan_arg arg = {
        .size = sizeof(arg),
        .flags = query->write_protect ? PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC : 0,
        .start = host,
        .end = host + block->length,
        .vec = (uintptr_t)regions,
        .vec_len = SCAN_REGIONS,
        .category_mask = query->all,
        .category_anyof_mask = query->any,
        .return_mask = query->want,
    };

    while (arg.start < arg.end) {
        int count = ioctl(fd, PAGEMAP_SCAN, &arg);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ferry_error_set(err, -errno, "block '%s': scanning its pages: %s", block->name, strerror(errno));
        for (int i = 0; i < count; i++)
            found(opaque, (regions[i].start - host) >> FERRY_PAGE_SHIFT,
                  (regions[i].end - regions[i].start) >> FERRY_PAGE_SHIFT, (unsigned)regions[i].categories);
        if (arg.walk_end <= arg.start)
            return ferry_error_set(err, -EIO, "block '%s': scanning its pages does not advance", block->name);
        arg.start = arg.walk_end;
    }
    return 0;
}

/* Report the runs of entries that have a page; the first entry speaks of page @page. */
static void pagemap_report(const uint64_t *entries, uint64_t count, uint64_t page, pagemap_found *found, void *opaque)
{
    uint64_t run = 0;

    for (uint64_t i = 0; i < count; i++) {
        if (entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED)) {
            run++;
        } else if (run) {
            found(opaque, page + i - run, run, 0);
            run = 0;
        }
    }
    if (run)
        found(opaque, page + count - run, run, 0);
}

int pagemap_read(int fd, const struct ferry_block *block, pagemap_found *found, void *opaque, struct ferry_error *err)
{
    uint64_t entries[READ_ENTRIES];
    uint64_t base = (uintptr_t)block->host >> FERRY_PAGE_SHIFT;
    uint64_t pages = block->length >> FERRY_PAGE_SHIFT;

    for (uint64_t page = 0; page < pages;) {
        uint64_t want = pages - page < READ_ENTRIES ? pages - page : READ_ENTRIES;
        ssize_t got = pread(fd, entries, want * sizeof(entries[0]), (off_t)((base + page) * sizeof(entries[0])));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < (ssize_t)sizeof(entries[0]))
            return ferry_error_set(err, got < 0 ? -errno : -EIO, "block '%s': reading its page map: %s", block->name,
                                   got < 0 ? strerror(errno) : "it ends early");
        pagemap_report(entries, (uint64_t)got / sizeof(entries[0]), page, found, opaque);
        page += (uint64_t)got / sizeof(entries[0]);
    }
    return 0;
}
