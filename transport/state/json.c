/* SPDX-License-Identifier: BSD-3-Clause */
/* json.c - the self-description of a stream, made while it is written
 *
 * The frames are the objects that are being filled, structs and elements by turns:
 *
 *     struct "cpu" > element of "regs" > struct "reg" > element of "mode"
 *
 * The struct of a "struct" field goes under that key; that of a list, a tree, a temporary or a "vstruct" goes straight
 * into the element's object, and of several only the first: an object has each key once.
 */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct json_visitor *json_self(struct ferry_visitor *visitor)
{
    return (struct json_visitor *)visitor;
}

static int json_status(int rc, struct ferry_error *err)
{
    return rc < 0 ? ferry_error_set(err, -ENOMEM, "out of memory for the stream's description") : 0;
}

/* Takes @value. */
static int json_set(json_t *object, const char *key, json_t *value, struct ferry_error *err)
{
    return json_status(json_object_set_new(object, key, value), err);
}

static int json_push(struct json_visitor *json, json_t *object, const struct visit_field *field,
                     struct ferry_error *err)
{
    if (json->frames == JSON_FRAMES)
        return ferry_error_set(err, -E2BIG, "descriptions are nested too deeply");
    json->frame[json->frames++] =
        (struct json_frame){ .object = object, .field = field, .start = ferry_writer_offset(json->writer) };
    return 0;
}

static struct json_frame *json_top(struct json_visitor *json)
{
    return json->frames ? &json->frame[json->frames - 1] : NULL;
}

/* A new member of the array @key of @object, which is made if need be; borrowed, or NULL. */
static json_t *json_append_object(json_t *object, const char *key)
{
    json_t *array = json_object_get(object, key), *added;

    if (!array) {
        if (json_object_set_new(object, key, json_array()) < 0)
            return NULL;
        array = json_object_get(object, key);
    }
    added = json_object();
    return json_array_append_new(array, added) < 0 ? NULL : added;
}

/* Where the struct that begins now is described; NULL: nowhere, or out of memory. */
static json_t *json_struct_object(struct json_visitor *json, int *rc, struct ferry_error *err)
{
    struct json_frame *top = json_top(json);
    json_t *object;

    *rc = 0;
    if (!top)
        return json->root;
    if (top->field && top->field->field->kind != FERRY_KIND_STRUCT)
        return json_object_get(top->object, "fields") ? NULL : top->object;
    if (!top->field) {
        object = json_append_object(top->object, "subsections");
    } else {
        object = json_object();
        if (json_object_set_new(top->object, "struct", object) < 0)
            object = NULL;
    }
    if (!object)
        *rc = json_status(-1, err);
    return object;
}

static int json_begin_struct(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                             int version, struct ferry_error *err)
{
    struct json_visitor *json = json_self(visitor);
    json_t *object;
    int rc;

    if (json->muted || !desc) {
        json->muted++;
        return 0;
    }
    object = json_struct_object(json, &rc, err);
    if (!object) {
        json->muted++;
        return rc;
    }
    rc = json_set(object, "vmsd_name", json_string(desc->name), err);
    if (rc == 0)
        rc = json_set(object, "version", json_integer(version), err);
    if (rc == 0)
        rc = json_set(object, "fields", json_array(), err);
    return rc < 0 ? rc : json_push(json, object, NULL, err);
}

static int json_end_struct(struct ferry_visitor *visitor, struct ferry_error *err)
{
    struct json_visitor *json = json_self(visitor);

    if (json->muted)
        json->muted--;
    else
        json->frames--;
    return 0;
}

static int json_begin_element(struct ferry_visitor *visitor, const struct visit_field *field,
                              const struct visit_element *element, struct ferry_error *err)
{
    struct json_visitor *json = json_self(visitor);
    json_t *object;
    int rc;

    if (json->muted || !element->run) {
        json->muted++;
        return 0;
    }
    object = json_append_object(json_top(json)->object, "fields");
    if (!object)
        return json_status(-1, err);
    rc = json_set(object, "name", json_string(field->name), err);
    if (rc == 0 && field->count > 1 && field->array && !field->alike)
        rc = json_set(object, "index", json_integer((json_int_t)element->index), err);
    else if (rc == 0 && element->run > 1)
        rc = json_set(object, "array_len", json_integer((json_int_t)element->run), err);
    if (rc == 0)
        rc = json_set(object, "type", json_string(element->null ? "nullptr" : field_type(field->field)), err);
    return rc < 0 ? rc : json_push(json, object, field, err);
}

static int json_end_element(struct ferry_visitor *visitor, struct ferry_error *err)
{
    struct json_visitor *json = json_self(visitor);
    struct json_frame *top;

    if (json->muted) {
        json->muted--;
        return 0;
    }
    top = &json->frame[--json->frames];
    return json_set(top->object, "size", json_integer((json_int_t)(ferry_writer_offset(json->writer) - top->start)),
                    err);
}

static int json_field(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err)
{
    return 0;
}

static int json_end_subsection(struct ferry_visitor *visitor, struct ferry_error *err)
{
    return 0;
}

/* ---- values: the inner visitor's business ------------------------------------------------------------------------ */

static int json_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                       struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->scalar(inner, name, kind, value, err);
}

static int json_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                      struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->bytes(inner, name, data, bytes, err);
}

static int json_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->unused(inner, bytes, err);
}

static int json_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                       struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->bitmap(inner, name, words, bits, err);
}

static int json_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom, void *value,
                       size_t size, struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->custom(inner, name, custom, value, size, err);
}

static int json_null_pointer(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->null(inner, name, err);
}

static int json_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->more(inner, more, err);
}

static int json_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->count(inner, count, err);
}

static int json_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                           const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    struct ferry_visitor *inner = json_self(visitor)->inner;

    return inner->ops->subsection(inner, parent, which, version, err);
}

static const struct visitor_shape json_shape = {
    .begin_struct = json_begin_struct,
    .end_struct = json_end_struct,
    .begin_field = json_field,
    .end_field = json_field,
    .begin_element = json_begin_element,
    .end_element = json_end_element,
    .end_subsection = json_end_subsection,
};

static const struct visitor_ops json_ops = {
    .scalar = json_scalar,
    .bytes = json_bytes,
    .unused = json_unused,
    .bitmap = json_bitmap,
    .custom = json_custom,
    .null = json_null_pointer,
    .more = json_more,
    .count = json_count,
    .subsection = json_subsection,
    .shape = &json_shape,
};

void json_visitor_init(struct json_visitor *json, struct ferry_visitor *inner, struct ferry_writer *writer,
                       json_t *root)
{
    json->visitor.ops = &json_ops;
    json->inner = inner;
    json->writer = writer;
    json->root = root;
    json->muted = 0;
    json->frames = 0;
}
