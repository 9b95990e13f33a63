/* SPDX-License-Identifier: BSD-3-Clause */
/* postcopy_drop.c - the content of pages is given back to the kernel, so that the next touch is a fault
 *
 *      private           MADV_DONTNEED   this process's own pages
 *      shared            MADV_REMOVE     a hole in the file: for all who map it
 *
 * Private pages hide those of a file, where one lies beneath; a touch of what shows then is a minor fault, which is
 * watched as well.  Of shared memory something may stay: a huge page that cannot be split keeps zeros in place of the
 * hole.  That would be read silently, so it is looked at (mincore), and what is still there is an error.
 */
#include "postcopy_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LOOK_PAGES 4096

static int look(const struct postcopy_block *at, uint64_t first, uint64_t count, struct ferry_error *err)
{
    unsigned char there[LOOK_PAGES];

    while (count > 0) {
        uint64_t now = count < LOOK_PAGES ? count : LOOK_PAGES;

        if (mincore(at->block->host + (first << FERRY_PAGE_SHIFT), now << FERRY_PAGE_SHIFT, there) < 0)
            return ferry_error_set(err, -errno, "block '%s': mincore: %s", at->block->info.name, strerror(errno));
        for (uint64_t i = 0; i < now; i++) {
            if (there[i] & 1)
                return ferry_error_set_code(err, FERRY_E_POSTCOPY_UNSUPPORTED, -ENOTSUP,
                                            "block '%s' page %" PRIu64
                                            ": it was dropped, and there is still something: another process writes "
                                            "there, or it lies in a huge page",
                                            at->block->info.name, first + i);
        }
        first += now;
        count -= now;
    }
    return 0;
}

int postcopy_drop(struct postcopy_block *at, uint64_t first, uint64_t count, struct ferry_error *err)
{
    uint8_t *start = at->block->host + (first << FERRY_PAGE_SHIFT);
    const char *how = at->shared ? "MADV_REMOVE" : "MADV_DONTNEED";

    if (madvise(start, count << FERRY_PAGE_SHIFT, at->shared ? MADV_REMOVE : MADV_DONTNEED) < 0) {
        int error = errno;

        ferry_error_set_code(err, FERRY_E_POSTCOPY_UNSUPPORTED, -error,
                             "block '%s': %" PRIu64 " pages from %" PRIu64 " cannot be dropped (%s): %s",
                             at->block->info.name, count, first, how, strerror(error));
        return -error;
    }
    return at->file && at->shared ? look(at, first, count, err) : 0;
}

/* The kernel would make a huge page out of small ones that are there and zeros for those that are missing. */
void postcopy_huge_off(const struct postcopy_block *at)
{
    if (at->host_pages == 1)
        (void)madvise(at->block->host, at->block->info.length, MADV_NOHUGEPAGE); /* without such pages: no need */
}

static bool huge_always(void)
{
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    char text[64] = "";
    bool always = file && fgets(text, sizeof(text), file) && strstr(text, "[always]");

    if (file)
        fclose(file);
    return always;
}

/* No advice leads back to "by default"; where that means huge pages, so does the advice. */
void postcopy_huge_back(const struct postcopy_block *at)
{
    if (at->host_pages == 1 && (at->huge == HUGE_WANTED || (at->huge == HUGE_BY_DEFAULT && huge_always())))
        (void)madvise(at->block->host, at->block->info.length, MADV_HUGEPAGE);
}
