/* SPDX-License-Identifier: BSD-3-Clause */
/* visitor.h - what a visitor of device state must be able to do
 *
 * The walker knows addresses, counts, predicates, versions and subsections; a visitor knows an encoding.  Operations
 * are symmetric: each takes *value from the device or, when loading, sets it.
 *
 *     walker                                    visitor
 *     begin_struct "cpu"                        wire_save wire_load   bytes; shape means nothing to them
 *       begin_field "regs"                      tree_out tree_in      JSON values
 *         begin_element 0   scalar   end        json                  the stream's self-description, over another one
 *         begin_element 1   scalar   end        size digest
 *       end_field
 *       subsection "cpu/tsc_khz"
 *         begin_struct ... end_struct
 *       end_subsection
 *     end_struct
 */
#ifndef STATE_VISITOR_H
#define STATE_VISITOR_H

#include <ferry/state.h>

/* Long enough for any member's name; longer ones are cut. */
#define VISIT_NAME_BYTES 160

/* A field, as visitors with a sense of shape see it. */
struct visit_field {
    const struct ferry_field *field;
    char name[VISIT_NAME_BYTES]; /* unique within its description */
    size_t count;
    bool array; /* more than one element */
    bool alike; /* all elements are encoded alike: describe one of them */
};

struct visit_element {
    size_t index;
    size_t run; /* how many elements from here on are alike; 0: this one belongs to a run that has begun */
    bool null;
};

struct visitor_shape {
    /* @desc NULL: a mere group of values */
    int (*begin_struct)(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                        int version, struct ferry_error *err);
    int (*end_struct)(struct ferry_visitor *visitor, struct ferry_error *err);
    int (*begin_field)(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err);
    int (*end_field)(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err);
    int (*begin_element)(struct ferry_visitor *visitor, const struct visit_field *field,
                         const struct visit_element *element, struct ferry_error *err);
    int (*end_element)(struct ferry_visitor *visitor, struct ferry_error *err);
    int (*end_subsection)(struct ferry_visitor *visitor, struct ferry_error *err);
};

struct visitor_ops {
    bool loading;
    int (*scalar)(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                  struct ferry_error *err);
    int (*bytes)(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes, struct ferry_error *err);
    int (*unused)(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err);
    int (*bitmap)(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                  struct ferry_error *err);
    /* Only the kind with put and get. */
    int (*custom)(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom, void *value,
                  size_t size, struct ferry_error *err);
    /* An element of an array of pointers that is NULL here, so it must be NULL there. */
    int (*null)(struct ferry_visitor *visitor, const char *name, struct ferry_error *err);
    /* Whether a list has one more element. */
    int (*more)(struct ferry_visitor *visitor, bool *more, struct ferry_error *err);
    /* How many nodes a tree has. */
    int (*count)(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err);
    /* The subsection of @parent that follows, or NULL. */
    int (*subsection)(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                      const struct ferry_state_desc **which, int *version, struct ferry_error *err);
    /* A body for desc->hooks.load_old; NULL: only the wire has such bodies. */
    int (*old)(struct ferry_visitor *visitor, const struct ferry_state_desc *desc, void *copy, int version,
               struct ferry_error *err);
    const struct visitor_shape *shape; /* NULL: shape means nothing to this visitor; else all of it */
};

struct ferry_visitor {
    const struct visitor_ops *ops;
};

/* The shape operations, for visitors that have none, too. */
int visitor_begin_struct(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                         int version, struct ferry_error *err);
int visitor_end_struct(struct ferry_visitor *visitor, struct ferry_error *err);
int visitor_end_subsection(struct ferry_visitor *visitor, struct ferry_error *err);

#endif
