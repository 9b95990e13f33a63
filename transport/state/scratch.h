/* SPDX-License-Identifier: BSD-3-Clause */
/* scratch.h - an encoding of the embedder's own, as bytes in memory
 *
 * For visitors that are not the wire: put and get know only writers and readers.
 */
#ifndef STATE_SCRATCH_H
#define STATE_SCRATCH_H

#include <ferry/state.h>

/* The most bytes that one custom value may have there. */
#define SCRATCH_LIMIT_BYTES ((size_t)64 << 20)

/* *data is the caller's, to be freed. */
int scratch_put(const struct ferry_custom *custom, const void *value, size_t size, uint8_t **data, size_t *bytes,
                struct ferry_error *err);

/* All of @data must be used up. */
int scratch_get(const struct ferry_custom *custom, void *value, size_t size, const uint8_t *data, size_t bytes,
                struct ferry_error *err);

#endif
