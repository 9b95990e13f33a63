/* SPDX-License-Identifier: BSD-3-Clause */
/* ram_map.h - the blocks of a guest, found by name */
#ifndef MEMORY_RAM_MAP_H
#define MEMORY_RAM_MAP_H

#include <ferry/memory.h>
#include <stddef.h>

struct ram_block {
    struct ferry_block info; /* info.name is the map's own copy */
    uint8_t *host;           /* info.host as bytes */
    uint64_t pages;          /* info.length in pages */
    unsigned index;          /* position in the map */
};

struct ram_map {
    struct ram_block **blocks; /* owned; addresses stay when blocks are added */
    unsigned count;
    uint64_t total_bytes;
};

void ram_map_init(struct ram_map *map);
void ram_map_clear(struct ram_map *map);

/* Check @info (name, alignment, size, overlap with nothing of that name, limits of ferry/memory.h) and append it. */
int ram_map_add(struct ram_map *map, const struct ferry_block *info, struct ferry_error *err);

/* NULL where there is none. */
struct ram_block *ram_map_find(const struct ram_map *map, const char *name);

#endif
