/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_desc.h - the description at a stream's end (JSON), and what it says about sizes
 *
 * A parser of its own, because QEMU describes a list by repeating keys, one set per element:
 *
 *      {"name": "q", "type": "qtailq", "vmsd_name": "e", "fields": [...], "vmsd_name": "e", "fields": [...], "size": 9}
 *
 * An ordinary JSON library keeps one set of them.  Here every member is kept, in its order.
 */
#ifndef TOOLS_INSPECT_DESC_H
#define TOOLS_INSPECT_DESC_H

#include <ferry/error.h>
#include <stddef.h>
#include <stdint.h>

#define DESC_DEPTH_MAX 96 /* how deep it may nest: 3 levels for each struct in a struct */
#define DESC_NODES_MAX (4u << 20)
#define DESC_SIZE_MAX  (UINT64_C(1) << 40) /* no size that is computed goes beyond */

enum desc_kind { DESC_OBJECT, DESC_ARRAY, DESC_STRING, DESC_INTEGER, DESC_OTHER };

struct desc {
    enum desc_kind kind;
    const char *key;          /* member of an object; NULL elsewhere */
    const char *text;         /* DESC_STRING */
    int64_t number;           /* DESC_INTEGER: it; DESC_OBJECT: how many members it has */
    uint64_t bytes;           /* desc_body_bytes() of a list, once it was asked for, and 1 */
    const struct desc *first; /* DESC_OBJECT, DESC_ARRAY: what is in it */
    const struct desc *next;
};

struct desc_tree {
    const struct desc *root; /* NULL: nothing there */
    char *text;              /* owned; the strings lie in it */
    struct desc_chunk *chunks;
    unsigned nodes;
};

/**
 * desc_parse() - make a tree of @text
 * @text: @bytes long, malloc()ed with one byte of room behind them; taken, also on failure
 *
 * The root is an object.  Strings hold no NUL.  Returns 0, -EPROTO with the place of the fault, or -ENOMEM.
 */
int desc_parse(struct desc_tree *tree, char *text, size_t bytes, struct ferry_error *err);
void desc_clear(struct desc_tree *tree);

/* The first member of that name, or NULL; @object may be NULL. */
const struct desc *desc_member(const struct desc *object, const char *key);
/* Its text, or @otherwise. */
const char *desc_text(const struct desc *object, const char *key, const char *otherwise);
/* Its number, or @otherwise where it has none or a negative one. */
uint64_t desc_number(const struct desc *object, const char *key, uint64_t otherwise);

/* One described body: the lists `fields` and `subsections`, both may be NULL. */
struct desc_body {
    const struct desc *fields;
    const struct desc *subsections;
};

struct desc_body desc_body_of(const struct desc *object);

/**
 * desc_next_body() - bodies that stand as members of @field, one for each element of a list
 * @from: the member to begin at; moved behind what was found
 *
 * Returns 0 when there is none left.
 */
int desc_next_body(const struct desc **from, struct desc_body *body);

/* Sum of the fields and subsections; UINT64_MAX where that is no number, or above DESC_SIZE_MAX. */
uint64_t desc_body_bytes(const struct desc_body *body);
/* How many elements, and the bytes of one; 0 where its sizes make no sense. */
int desc_field_size(const struct desc *field, uint64_t *count, uint64_t *bytes);

#endif
