/* SPDX-License-Identifier: BSD-3-Clause */
/* walk.h - goes through a described object, in order, and shows a visitor what is there
 *
 * The one place that knows when a field exists, how many elements it has, where they lie, which hooks run when, and
 * how lists, trees and temporaries are gone through.  Both directions: the visitor says which.
 */
#ifndef STATE_WALK_H
#define STATE_WALK_H

#include "stage.h"
#include "visitor.h"

struct walk_path;

struct walk {
    struct ferry_visitor *visitor;       /* borrowed */
    struct stage *stage;                 /* loading: where to, borrowed; saving: NULL */
    const struct ferry_profile *profile; /* saving: may be NULL */
    const struct walk_path *path;        /* the field being walked; NULL at the start */
    unsigned depth;
    char failed[192]; /* the path of the field that failed first */
};

/* An object, where it is now and where it will be after the commit.  Saving: the same. */
struct walk_object {
    uint8_t *at;
    uint8_t *home;
};

/**
 * walk_section() - the body of a description: its fields and subsections
 *
 * The caller has set visitor, stage and profile in @walk, the rest 0.  An error begins with the description's name and
 * the path of the field: "cpu: field 'regs[3].mode': 7 is not the local 5".
 */
int walk_section(struct walk *walk, const struct ferry_state_desc *desc, struct walk_object object, int version,
                 struct ferry_error *err);

/* ---- between walk.c and walk_container.c ------------------------------------------------------------------------ */

int walk_body(struct walk *walk, const char *name, const struct ferry_state_desc *desc, struct walk_object object,
              int version, struct ferry_error *err);
int walk_list(struct walk *walk, const struct ferry_list *list, struct walk_object head, struct ferry_error *err);
int walk_tree(struct walk *walk, const struct ferry_tree *tree, struct walk_object root, struct ferry_error *err);
int walk_tmp(struct walk *walk, const struct ferry_field *field, const char *name, struct walk_object parent,
             struct ferry_error *err);

/* The version of a nested description: nothing on the wire says it. */
int walk_version(const struct walk *walk, const struct ferry_state_desc *desc);

#endif
