/* SPDX-License-Identifier: BSD-3-Clause */
/* arena.h - many small things that are freed together, up to a ceiling
 *
 * What is built from a peer's bytes stays within the ceiling, whatever they say.
 */
#ifndef STATE_ARENA_H
#define STATE_ARENA_H

#include <ferry/error.h>
#include <stddef.h>

struct arena;

/* NULL when out of memory. */
struct arena *arena_new(size_t limit_bytes);

/* NULL is legal. */
void arena_free(struct arena *arena);

/* Zeroed, aligned for everything; NULL with -ENOMEM. */
void *arena_get(struct arena *arena, size_t bytes, struct ferry_error *err);

/* A copy of @bytes of @text, with a NUL behind them. */
const char *arena_text(struct arena *arena, const char *text, size_t bytes, struct ferry_error *err);

#endif
