/* SPDX-License-Identifier: BSD-3-Clause */
/* stage.h - what a load has parsed and not yet applied
 *
 *     the device                          the stage
 *     +---------------+  copied in, first +---------------+
 *     | regs, irq,... | ----------------> | regs, irq,... |  <- fields are parsed into the copy
 *     | config *------+--> +--------+     | config *------+--> a copy of what it pointed at
 *     | queue (list)  |    +--------+     | queue (list)  |--> new elements
 *     +---------------+                   +---------------+
 *             ^                                   |
 *             +--------- steps, then hooks -------+
 *
 * Memory is of two kinds: shadows (copies of the device's own memory, freed with the stage) and gifts (list elements,
 * allocated arrays: the device's after the commit).  Parsing records steps; the commit runs them in order and cannot
 * fail, then the post_load hooks, which can.  An object is known by two addresses: `at`, where it lies now, and
 * `home`, where it will be.  They are the same for gifts.
 */
#ifndef STATE_STAGE_H
#define STATE_STAGE_H

#include <ferry/state.h>

/* What one load may allocate. */
#define STAGE_LIMIT_BYTES ((size_t)256 << 20)

struct stage;

/* NULL when out of memory. */
struct stage *stage_new(void);
void stage_free(struct stage *stage);

/**
 * stage_shadow() - a copy of device memory
 * @from: what a pointer says: the device's memory; or already a shadow, which is then found again
 * @at: set to the copy
 * @home: set to the device's memory
 */
int stage_shadow(struct stage *stage, void *from, size_t bytes, void **at, void **home, struct ferry_error *err);

/* Zeroed memory that lives as long as the stage. */
void *stage_scratch(struct stage *stage, size_t bytes, struct ferry_error *err);

/* Zeroed memory that will be the device's: count x size bytes. */
void *stage_gift(struct stage *stage, size_t count, size_t size, struct ferry_error *err);

/* ---- steps of the commit; each copies what it needs to know ---------------------------------------------------- */

/* Copy the described members of @count structs.  Without @desc: copy @count bytes. */
int stage_step_copy(struct stage *stage, const struct ferry_state_desc *desc, void *at, void *home, size_t count,
                    struct ferry_error *err);
/* Free what the pointer at @home points at, and put @gift there. */
int stage_step_pointer(struct stage *stage, void *gift, void *home, struct ferry_error *err);
/* Empty the list at @home, and move the elements of the one at @at there. */
int stage_step_list(struct stage *stage, const struct ferry_list *list, void *at, void *home, struct ferry_error *err);
int stage_step_tree(struct stage *stage, const struct ferry_tree *tree, void *at, void *home, struct ferry_error *err);
/* The temporary at @at learns that its parent is @home. */
int stage_step_parent(struct stage *stage, void *at, void *home, struct ferry_error *err);

/* Call post_load of @desc on @home after all steps. */
int stage_hook(struct stage *stage, const struct ferry_state_desc *desc, void *home, int version,
               struct ferry_error *err);

/**
 * stage_commit() - apply everything, once
 *
 * On failure a post_load has refused; the device is then in no defined state.
 */
int stage_commit(struct stage *stage, struct ferry_error *err);

/* Free all elements of the list at @head, as a commit frees those that it replaces. */
void stage_empty_list(const struct ferry_list *list, void *head);

#endif
