/* SPDX-License-Identifier: BSD-3-Clause */
/* state.h - a described device to the wire and back
 *
 *     state_save                                      one body: fields and subsections, no section header or footer
 *     state_parse -> check the footer -> state_commit     or state_staged_free, and the device is as it was
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <ferry/profile.h>
#include <ferry/state.h>
#include <jansson.h>

/* A parsed body that is not yet in the device. */
struct state_staged;

/**
 * state_save() - put the body of a description
 * @profile: for an older destination; NULL: everything as new as it is
 * @vmdesc: gets the body's self-description (json.h): members of this object; NULL: none is wanted
 *
 * A failure is the writer's error, too: half a body is on its way.
 */
int state_save(struct ferry_writer *writer, const struct ferry_state_desc *desc, void *opaque,
               const struct ferry_profile *profile, json_t *vmdesc, struct ferry_error *err);

/**
 * state_parse() - read and check a body, without changing the device
 * @version: the section's
 *
 * Returns what the caller may commit and must free, or NULL; then the reader fails with the same sentence.
 */
struct state_staged *state_parse(const struct ferry_state_desc *desc, void *opaque, uint32_t version,
                                 struct ferry_reader *reader, struct ferry_error *err);

/**
 * state_commit() - apply what was parsed: copy, exchange, then the post_load hooks
 *
 * Fails only if a post_load does; the device is then in no defined state, and the guest must not run.
 */
int state_commit(struct state_staged *staged, struct ferry_error *err);

/* NULL is legal. */
void state_staged_free(struct state_staged *staged);

/* ---- other visitors; all that show a device run its pre_save and post_save -----------------------------------------
 */

/* Bytes that state_save() would put, or a negative errno. */
int64_t state_size(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile,
                   struct ferry_error *err);

/* The values, by name (tree.h); a new reference, or NULL. */
json_t *state_to_tree(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile,
                      struct ferry_error *err);

/* Counterpart of state_parse() for such a tree, which must have exactly the members that exist. */
struct state_staged *state_from_tree(const struct ferry_state_desc *desc, void *opaque, int version, json_t *tree,
                                     struct ferry_error *err);

/* Equal for equal names, types and values; 16 bytes. */
int state_digest(const struct ferry_state_desc *desc, void *opaque, const struct ferry_profile *profile,
                 uint8_t digest[16], struct ferry_error *err);

#endif
