/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_fields.c - the fields of a device section, by its description
 *
 * A field says its size, with all that is nested in it, so that what is not understood is shown as bytes and the walk
 * goes on behind it.  What is nested is only entered where its own sizes add up to the field's.
 *
 *      struct   { fields } { subsections }            tmp, vstruct: the same
 *      list     { 01 element } { 01 element } 00      qtailq, qlist
 *      tree     count { 01 key value } ... 00         gtree; the key is 8 bytes, or described like the value
 *
 *      subsection   05 length name version { fields } { subsections }
 */
#include "inspect_fields.h"

#include "bytes.h"
#include "section.h"

#include <stdlib.h>
#include <string.h>

struct walk {
    const struct field_visitor *visitor;
    void *opaque;
    unsigned *budget;
    const uint8_t *at; /* the next byte */
};

/* How elements of a list are framed. */
enum framing { FRAMED_NOT, FRAMED_LIST, FRAMED_TREE };

static void walk_body(struct walk *walk, const struct desc_body *body);

uint64_t field_unsigned(const uint8_t *data, uint64_t bytes)
{
    switch (bytes) {
    case 1:
        return data[0];
    case 2:
        return load_be16(data);
    case 4:
        return load_be32(data);
    default:
        return load_be64(data);
    }
}

int64_t field_signed(const uint8_t *data, uint64_t bytes)
{
    switch (bytes) {
    case 1:
        return (int8_t)data[0];
    case 2:
        return (int16_t)load_be16(data);
    case 4:
        return (int32_t)load_be32(data);
    default:
        return (int64_t)load_be64(data);
    }
}

/* ---- plain values ---------------------------------------------------------------------------------------------- */

static enum field_kind kind_of(const char *type, uint64_t bytes)
{
    static const char *const behind[] = { "", " equal", " le" };
    bool is_unsigned = type[0] == 'u';
    const char *digits;
    char *end;

    if (!strcmp(type, "bool") && bytes == 1)
        return FIELD_BOOL;
    if (!strcmp(type, "timer") && bytes == 8)
        return FIELD_TIMER;
    if (!strcmp(type, "nullptr") && bytes == 1)
        return FIELD_NULL;
    if (strncmp(type + is_unsigned, "int", 3) != 0)
        return FIELD_BYTES;
    digits = type + is_unsigned + 3;
    if (*digits < '1' || *digits > '9')
        return FIELD_BYTES;
    if (strtoul(digits, &end, 10) != bytes * 8 || (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8))
        return FIELD_BYTES;
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++)
        if (!strcmp(end, behind[i]))
            return is_unsigned ? FIELD_UNSIGNED : FIELD_SIGNED;
    return FIELD_BYTES;
}

/* Pay for a look at @object: more where it has very many members.  False: there is nothing left to pay with. */
static bool spend(struct walk *walk, const struct desc *object)
{
    uint64_t price = object->kind == DESC_OBJECT ? 1 + (uint64_t)object->number / 16 : 1;

    if (*walk->budget < price) {
        *walk->budget = 0;
        return false;
    }
    *walk->budget -= (unsigned)price;
    return true;
}

static void show(struct walk *walk, struct field *field, uint64_t count, uint64_t bytes)
{
    field->kind = kind_of(field->type, bytes);
    field->count = count;
    field->bytes = bytes;
    field->data = walk->at;
    if (!strcmp(field->type, "pci irq state") && bytes % 4 == 0) {
        field->kind = FIELD_UNSIGNED;
        field->bytes = 4;
        field->count = count * bytes / 4;
        field->array = true;
    } else if (field->kind == FIELD_BYTES) {
        field->bytes = count * bytes;
        field->count = 1;
        field->array = false;
    }
    if (*walk->budget < field->count && field->kind != FIELD_BYTES) {
        *walk->budget = 0;
    } else {
        *walk->budget -= field->kind == FIELD_BYTES ? 0 : (unsigned)field->count;
        walk->visitor->value(walk->opaque, field);
    }
    walk->at += count * bytes;
}

/* ---- nested ones ----------------------------------------------------------------------------------------------- */

static enum framing framing_of(const char *type)
{
    if (!strcmp(type, "qtailq") || !strcmp(type, "qlist"))
        return FRAMED_LIST;
    return !strcmp(type, "gtree") ? FRAMED_TREE : FRAMED_NOT;
}

/* The object of which what is nested in @field are members: `struct`, or itself. */
static const struct desc *nested_in(const struct desc *field)
{
    const struct desc *inner = desc_member(field, "struct");

    return inner && inner->kind == DESC_OBJECT ? inner : field;
}

/* Number of bodies and the sum of their bytes. */
static unsigned nested_bytes(const struct desc *from, uint64_t *sum)
{
    struct desc_body body;
    unsigned count = 0;

    for (*sum = 0; *sum <= DESC_SIZE_MAX && desc_next_body(&from, &body); count++) {
        uint64_t bytes = desc_body_bytes(&body);

        *sum += bytes > DESC_SIZE_MAX ? DESC_SIZE_MAX + 1 : bytes;
    }
    return count;
}

/* One element: what is nested as one body, or the elements of a list, if they fill @bytes exactly. */
static bool nested_fits(const struct walk *walk, const struct desc *from, enum framing framing, uint64_t bytes,
                        unsigned *nodes)
{
    uint64_t sum;
    unsigned bodies = nested_bytes(from, &sum);

    *nodes = bodies;
    if (framing == FRAMED_NOT)
        return bodies == 1 && sum == bytes;
    if (framing == FRAMED_LIST)
        return sum + bodies + 1 == bytes;
    if (bytes < 5)
        return false;
    *nodes = load_be32(walk->at);
    if (bodies == *nodes)
        return 4 + sum + 9 * (uint64_t)bodies + 1 == bytes;
    return bodies == 2 * (uint64_t)*nodes && 4 + sum + *nodes + 1 == bytes;
}

/* Enter the next body of @from as element @index of @name. */
static void walk_part(struct walk *walk, const struct desc **from, const char *name, const char *type, int64_t index)
{
    struct field field = { .name = name, .type = type, .index = index };
    struct desc_body body;

    if (*walk->budget == 0 || !desc_next_body(from, &body))
        return;
    --*walk->budget;
    walk->visitor->open(walk->opaque, &field);
    walk_body(walk, &body);
    walk->visitor->close(walk->opaque);
}

static void walk_list(struct walk *walk, const struct desc *from, const struct field *field, enum framing framing,
                      unsigned nodes)
{
    unsigned bodies;
    uint64_t sum;

    bodies = nested_bytes(from, &sum);
    walk->at += framing == FRAMED_TREE ? 4 : 0;
    for (unsigned i = 0; i<nodes && * walk->budget> 0; i++) {
        walk->at++;
        if (framing == FRAMED_TREE && bodies == nodes) {
            struct field key = { .name = "key", .type = "uint64", .index = i };

            show(walk, &key, 1, 8);
        } else if (framing == FRAMED_TREE) {
            walk_part(walk, &from, "key", "struct", i);
        }
        walk_part(walk, &from, field->name, field->type, i);
    }
}

/* A field with something nested in it.  False: its sizes do not add up. */
static bool walk_nested(struct walk *walk, const struct desc *inner, const struct field *field, uint64_t count,
                        uint64_t bytes)
{
    enum framing framing = framing_of(field->type);
    const struct desc *from = inner->first;
    unsigned nodes;

    if (!spend(walk, inner) || !nested_fits(walk, from, framing, bytes, &nodes))
        return false;
    for (uint64_t i = 0; i<count && * walk->budget> 0; i++) {
        const uint8_t *end = walk->at + bytes;
        const struct desc *at = from;

        if (framing == FRAMED_NOT)
            walk_part(walk, &at, field->name, field->type, field->array ? (int64_t)i : field->index);
        else
            walk_list(walk, at, field, framing, nodes);
        walk->at = end;
    }
    return true;
}

/* Lists in arrays say only for the first element what is in them. */
static bool may_enter(const struct desc *field, const char *type, uint64_t count)
{
    return count > 0 && (count == 1 || framing_of(type) == FRAMED_NOT) &&
           (desc_member(field, "fields") || desc_member(field, "struct") || framing_of(type) != FRAMED_NOT);
}

static void walk_field(struct walk *walk, const struct desc *from)
{
    struct field field = {
        .name = desc_text(from, "name", "?"),
        .type = desc_text(from, "type", "?"),
        .index = (int64_t)desc_number(from, "index", UINT64_MAX),
        .array = desc_member(from, "array_len") != NULL,
    };
    const uint8_t *begin = walk->at;
    uint64_t count, bytes;

    if (!spend(walk, from) || !desc_field_size(from, &count, &bytes))
        return;
    if (!may_enter(from, field.type, count) || !walk_nested(walk, nested_in(from), &field, count, bytes))
        show(walk, &field, count, bytes);
    walk->at = begin + count * bytes;
}

static void walk_subsection(struct walk *walk, const struct desc *sub)
{
    const char *name = desc_text(sub, "vmsd_name", "");
    struct desc_body body = desc_body_of(sub);
    size_t name_bytes = strlen(name);
    uint64_t head = 1 + 1 + name_bytes + 4, bytes = desc_body_bytes(&body);
    const uint8_t *end = walk->at + head + bytes;
    struct field field = { .name = name, .type = "subsection", .index = -1 };

    if (!spend(walk, sub))
        return;
    if (walk->at[0] == SECTION_SUBSECTION && walk->at[1] == name_bytes && !memcmp(walk->at + 2, name, name_bytes)) {
        walk->at += head;
        walk->visitor->open(walk->opaque, &field);
        walk_body(walk, &body);
        walk->visitor->close(walk->opaque);
    } else {
        field.type = "not the subsection that is described";
        show(walk, &field, 1, head + bytes);
    }
    walk->at = end;
}

/* Its bytes were proved to be there, by the sum of all sizes. */
static void walk_body(struct walk *walk, const struct desc_body *body)
{
    const struct desc *at;

    for (at = body->fields ? body->fields->first : NULL; at && *walk->budget > 0; at = at->next)
        walk_field(walk, at);
    for (at = body->subsections ? body->subsections->first : NULL; at && *walk->budget > 0; at = at->next)
        walk_subsection(walk, at);
}

bool inspect_fields(const struct desc *device, const uint8_t *body, uint64_t bytes, unsigned *budget,
                    const struct field_visitor *visitor, void *opaque)
{
    struct walk walk = { .visitor = visitor, .opaque = opaque, .budget = budget, .at = body };
    struct desc_body all = desc_body_of(device);

    if (desc_body_bytes(&all) != bytes)
        return true;
    walk_body(&walk, &all);
    return *budget > 0;
}
