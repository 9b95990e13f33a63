/* SPDX-License-Identifier: BSD-3-Clause */
/* populated.c - pages never touched are zero; the kernel knows which, so nobody has to read them
 *
 * A page that was only ever read is the kernel's shared page of zeros: it counts as not touched where the kernel tells
 * (PAGEMAP_SCAN), as touched where it does not (plain /proc/self/pagemap).
 */
#include "populated.h"

#include "log.h"
#include "pagemap.h"

#include <errno.h>
#include <unistd.h>

static void populated_found(void *opaque, uint64_t first, uint64_t count, unsigned categories)
{
    if (!(categories & PAGEMAP_ZERO))
        dirty_set_range(opaque, first, count);
}

int populated_scan(const struct ram_block *block, struct dirty_map *map, struct ferry_error *err)
{
    static const struct pagemap_query touched = {
        .any = PAGEMAP_PRESENT | PAGEMAP_SWAPPED,
        .want = PAGEMAP_ZERO,
    };
    struct ferry_error why = { 0 };
    int fd, rc;

    if (map->pages != block->pages)
        return ferry_error_set(err, -EINVAL, "block '%s': a map of another size", block->info.name);
    if (!(block->info.flags & FERRY_BLOCK_PRIVATE)) {
        dirty_set_all(map);
        return 0;
    }
    rc = fd = pagemap_open(&why);
    if (fd >= 0) {
        rc = pagemap_scan(fd, &block->info, &touched, populated_found, map, &why);
        if (rc < 0)
            rc = pagemap_read(fd, &block->info, populated_found, map, &why);
        close(fd);
    }
    if (rc < 0) {
        log_info(LOG_MEMORY, "which pages were touched is not known, all will be read: %s", ferry_error_text(&why));
        dirty_set_all(map);
    }
    return 0;
}
