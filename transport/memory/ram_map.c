/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_map.c - the blocks of a guest, found by name */
#include "ram_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_FLAGS (FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH)

void ram_map_init(struct ram_map *map)
{
    memset(map, 0, sizeof(*map));
}

static void ram_block_free(struct ram_block *block)
{
    if (!block)
        return;
    free((char *)block->info.name);
    free(block);
}

void ram_map_clear(struct ram_map *map)
{
    for (unsigned i = 0; i < map->count; i++)
        ram_block_free(map->blocks[i]);
    free(map->blocks);
    ram_map_init(map);
}

/* What can be said of @info by itself. */
static int ram_map_check_info(const struct ferry_block *info, struct ferry_error *err)
{
    uintptr_t host = (uintptr_t)info->host;
    size_t name_bytes = info->name ? strnlen(info->name, FERRY_BLOCK_NAME_MAX + 1) : 0;

    if (name_bytes == 0 || name_bytes > FERRY_BLOCK_NAME_MAX)
        return ferry_error_set(err, -EINVAL, "a block's name has 1 to %d bytes", FERRY_BLOCK_NAME_MAX);
    if (info->page_size < FERRY_PAGE_BYTES || (info->page_size & (info->page_size - 1)))
        return ferry_error_set(err, -EINVAL, "block '%s': page size %" PRIu32 " is not a power of two from %d up",
                               info->name, info->page_size, FERRY_PAGE_BYTES);
    if (info->length == 0 || info->length % info->page_size)
        return ferry_error_set(err, -EINVAL,
                               "block '%s': length %" PRIu64 " is not a multiple of its page size %" PRIu32, info->name,
                               info->length, info->page_size);
    if (info->length > FERRY_RAM_BYTES_MAX)
        return ferry_error_set(err, -EINVAL, "block '%s': length %" PRIu64 " is above the limit of %" PRIu64,
                               info->name, info->length, FERRY_RAM_BYTES_MAX);
    if (host == 0 || host % info->page_size || info->length > UINTPTR_MAX - host)
        return ferry_error_set(err, -EINVAL, "block '%s': no memory at %p of page size %" PRIu32, info->name,
                               info->host, info->page_size);
    if (info->flags & ~(unsigned)KNOWN_FLAGS)
        return ferry_error_set(err, -EINVAL, "block '%s': unknown flags 0x%x", info->name, info->flags);
    return 0;
}

/* What depends on the blocks that are there already. */
static int ram_map_check_place(const struct ram_map *map, const struct ferry_block *info, struct ferry_error *err)
{
    uintptr_t start = (uintptr_t)info->host;

    if (map->count >= FERRY_BLOCKS_MAX)
        return ferry_error_set(err, -ENOSPC, "block '%s': more than %d blocks", info->name, FERRY_BLOCKS_MAX);
    if (info->length > FERRY_RAM_BYTES_MAX - map->total_bytes)
        return ferry_error_set(err, -ENOSPC, "block '%s': RAM in all is above the limit of %" PRIu64 " bytes",
                               info->name, FERRY_RAM_BYTES_MAX);
    for (unsigned i = 0; i < map->count; i++) {
        const struct ram_block *other = map->blocks[i];
        uintptr_t other_start = (uintptr_t)other->host;

        if (!strcmp(other->info.name, info->name))
            return ferry_error_set(err, -EEXIST, "block '%s' is there already", info->name);
        if (start < other_start + other->info.length && other_start < start + info->length)
            return ferry_error_set(err, -EINVAL, "block '%s': its memory overlaps block '%s'", info->name,
                                   other->info.name);
    }
    return 0;
}

static int ram_map_make_room(struct ram_map *map)
{
    struct ram_block **blocks;

    /* Room doubles whenever the count is a power of two. */
    if (map->count & (map->count - 1))
        return 0;
    blocks = realloc(map->blocks, (map->count ? 2 * (size_t)map->count : 1) * sizeof(struct ram_block *));
    if (!blocks)
        return -ENOMEM;
    map->blocks = blocks;
    return 0;
}

int ram_map_add(struct ram_map *map, const struct ferry_block *info, struct ferry_error *err)
{
    struct ram_block *block = NULL;
    int rc = ram_map_check_info(info, err);

    if (rc == 0)
        rc = ram_map_check_place(map, info, err);
    if (rc < 0) {
        ferry_error_code(err, rc == -ENOSPC ? FERRY_E_MEMORY_LIMIT : FERRY_E_BAD_BLOCK);
        ferry_error_object(err, "%s", info->name ? info->name : "");
        return rc;
    }
    if (ram_map_make_room(map) < 0)
        goto fail;
    block = calloc(1, sizeof(*block));
    if (!block)
        goto fail;
    block->info = *info;
    block->info.name = strdup(info->name);
    if (!block->info.name)
        goto fail;
    block->host = info->host;
    block->pages = info->length >> FERRY_PAGE_SHIFT;
    block->index = map->count;
    map->blocks[map->count++] = block;
    map->total_bytes += info->length;
    return 0;

fail:
    ram_block_free(block);
    return ferry_error_set(err, -ENOMEM, "block '%s': no memory to note it", info->name);
}

struct ram_block *ram_map_find(const struct ram_map *map, const char *name)
{
    for (unsigned i = 0; i < map->count; i++) {
        if (!strcmp(map->blocks[i]->info.name, name))
            return map->blocks[i];
    }
    return NULL;
}
