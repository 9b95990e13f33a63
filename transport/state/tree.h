/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.h - a device's values as a JSON tree, out of a device and into one
 *
 *     integers, bools         numbers, true and false; uint64 beyond 2^63-1 as a text, "18446744073709551615"
 *     float64                 a number; what JSON cannot say as its bits, "0x7ff8000000000000"
 *     bytes, bitmaps, custom  hexadecimal digits, as on the wire
 *     structs                 objects; fields that do not exist are not in them
 *     arrays, lists           arrays; trees: arrays of {"key", "value"}
 *     NULL                    null
 *     subsections             members of their object: {"version": 1, "fields": {...}}
 */
#ifndef STATE_TREE_H
#define STATE_TREE_H

#include "fields.h"
#include "visitor.h"
#include <jansson.h>

#define TREE_FRAMES (4 * FIELDS_DEPTH + 4)

struct tree_out {
    struct ferry_visitor visitor;
    json_t *root; /* owned */
    unsigned frames;
    json_t *frame[TREE_FRAMES]; /* what is being filled; borrowed from root */
};

struct tree_frame {
    json_t *value; /* borrowed */
    size_t used;   /* members taken so far */
    unsigned subsection;
};

struct tree_in {
    struct ferry_visitor visitor;
    json_t *root; /* borrowed */
    unsigned frames;
    struct tree_frame frame[TREE_FRAMES];
};

void tree_out_init(struct tree_out *out);
void tree_out_release(struct tree_out *out);

void tree_in_init(struct tree_in *in, json_t *root);

/* Whether the elements of this field are in an array. */
bool tree_is_array(const struct visit_field *field);

/* Hexadecimal digits: a new reference or NULL; the bytes (*bytes of them, to be freed) or NULL. */
json_t *tree_from_bytes(const uint8_t *data, size_t bytes);
uint8_t *tree_to_bytes(const json_t *text, size_t *bytes);

#endif
