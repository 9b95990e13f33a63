/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_fields.h - the fields of a device section, by its description */
#ifndef TOOLS_INSPECT_FIELDS_H
#define TOOLS_INSPECT_FIELDS_H

#include "inspect_desc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIELDS_BUDGET (4u << 20) /* values shown in all; what a hostile description can make of few bytes */

enum field_kind {
    FIELD_BYTES, /* and whatever is not known otherwise */
    FIELD_BOOL,
    FIELD_SIGNED,
    FIELD_UNSIGNED,
    FIELD_TIMER, /* ns; all ones: not armed */
    FIELD_NULL,  /* the place of a missing element */
};

struct field {
    const char *name;
    const char *type;
    int64_t index; /* of an element that stands alone; -1: none */
    enum field_kind kind;
    uint64_t count; /* how many values of `bytes` each; FIELD_BYTES has 1 */
    bool array;     /* it is one, even of a single value */
    uint64_t bytes;
    const uint8_t *data; /* in the section's body */
};

/* One integer of 1, 2, 4 or 8 bytes. */
uint64_t field_unsigned(const uint8_t *data, uint64_t bytes);
int64_t field_signed(const uint8_t *data, uint64_t bytes);

struct field_visitor {
    /* What follows, up to close, is part of @field (a struct, an element of a list, a subsection). */
    void (*open)(void *opaque, const struct field *field);
    void (*value)(void *opaque, const struct field *field);
    void (*close)(void *opaque);
};

/**
 * inspect_fields() - show @body, which @device describes exactly
 * @budget: how many fields may still be shown; counted down
 *
 * Returns false when the budget did not suffice.
 */
bool inspect_fields(const struct desc *device, const uint8_t *body, uint64_t bytes, unsigned *budget,
                    const struct field_visitor *visitor, void *opaque);

#endif
