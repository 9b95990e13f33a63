/* SPDX-License-Identifier: BSD-3-Clause */
/* fields.h - questions about one field: its type, its name, how many elements, does it exist */
#ifndef STATE_FIELDS_H
#define STATE_FIELDS_H

#include <ferry/state.h>

/* How deep descriptions may nest. */
#define FIELDS_DEPTH 32

bool kind_is_scalar(enum ferry_kind kind);

/* Bytes of a scalar on the wire: 1, 2, 4 or 8. */
size_t kind_bytes(enum ferry_kind kind);
bool kind_is_signed(enum ferry_kind kind);

/* A scalar's bits, sign-extended where it is signed, and back; bits that do not fit are cut off. */
uint64_t scalar_load(enum ferry_kind kind, const void *value);
void scalar_store(enum ferry_kind kind, void *value, uint64_t bits);

/* BUFFER, UNUSED and BITMAP: count says how large the one element is. */
bool field_is_whole(const struct ferry_field *field);

/* Its value lies in the struct itself: not behind a pointer, in a list, a tree or a temporary. */
bool field_is_flat(const struct ferry_field *field);

bool field_exists(const struct ferry_field *field, void *object, int version);

/* How many elements (or bytes, or bits); more than `most`, or less than none, is refused. */
int field_count(const struct ferry_field *field, const void *object, size_t *count, struct ferry_error *err);

/* What the stream's self-description calls its type: "uint32", "uint32 equal", "struct", ... */
const char *field_type(const struct ferry_field *field);

/* Its name; where a description has the name several times, with [k] behind it, k from 0. */
void field_unique_name(const struct ferry_state_desc *desc, const struct ferry_field *field, char *to, size_t room);

/* Whether all elements of this field have the same encoding, whatever the device's state is. */
bool field_alike(const struct ferry_field *field);

const struct ferry_state_desc *field_find_subsection(const struct ferry_state_desc *desc, const char *name,
                                                     size_t name_bytes);

/* Position of @sub among the subsections of @desc. */
unsigned field_subsection_index(const struct ferry_state_desc *desc, const struct ferry_state_desc *sub);

/* Refuse a description that cannot work: a mistake of its author.  Checks what it reaches, too. */
int fields_validate(const struct ferry_state_desc *desc, struct ferry_error *err);

#endif
