/* SPDX-License-Identifier: BSD-3-Clause */
/* arena.c - many small things that are freed together, up to a ceiling
 *
 *     arena -> chunk [header|thing|thing|text|    ] -> chunk [...]      the newest is filled
 */
#include "arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)8 << 10)
#define ALIGNMENT   alignof(max_align_t)

struct chunk {
    struct chunk *next;
    size_t used, room; /* of data */
    alignas(max_align_t) uint8_t data[];
};

struct arena {
    struct chunk *chunks;
    size_t left; /* bytes until the ceiling */
};

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof(*arena));

    if (arena)
        arena->left = limit_bytes;
    return arena;
}

void arena_free(struct arena *arena)
{
    struct chunk *next;

    if (!arena)
        return;
    for (struct chunk *chunk = arena->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

static struct chunk *arena_grow(struct arena *arena, size_t bytes)
{
    size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    struct chunk *chunk = room <= arena->left ? calloc(1, sizeof(*chunk) + room) : NULL;

    if (!chunk)
        return NULL;
    arena->left -= room;
    chunk->room = room;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

/* @bytes that begin at a multiple of @alignment. */
static void *arena_take(struct arena *arena, size_t bytes, size_t alignment, struct ferry_error *err)
{
    struct chunk *chunk = arena->chunks;
    size_t start = chunk ? (chunk->used + alignment - 1) & ~(alignment - 1) : 0;

    if (!chunk || start > chunk->room || bytes > chunk->room - start) {
        chunk = arena_grow(arena, bytes);
        start = 0;
    }
    if (!chunk) {
        ferry_error_set(err, -ENOMEM, "no memory for %zu bytes", bytes);
        return NULL;
    }
    chunk->used = start + bytes;
    return chunk->data + start;
}

void *arena_get(struct arena *arena, size_t bytes, struct ferry_error *err)
{
    return arena_take(arena, bytes, ALIGNMENT, err);
}

const char *arena_text(struct arena *arena, const char *text, size_t bytes, struct ferry_error *err)
{
    char *copy;

    if (bytes == 0)
        return "";
    copy = arena_take(arena, bytes + 1, 1, err);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}
