/* SPDX-License-Identifier: BSD-3-Clause */
/* tree_out.c - a device's values become a JSON tree */
#include "bytes.h"
#include "scratch.h"
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tree_out *tree_self(struct ferry_visitor *visitor)
{
    return (struct tree_out *)visitor;
}

bool tree_is_array(const struct visit_field *field)
{
    return field->array || field->field->kind == FERRY_KIND_LIST || field->field->kind == FERRY_KIND_TREE;
}

json_t *tree_from_bytes(const uint8_t *data, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * bytes + 1);
    json_t *value;

    if (!text)
        return NULL;
    for (size_t i = 0; i < bytes; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    value = json_stringn(text, 2 * bytes);
    free(text);
    return value;
}

/* Takes @value; puts it into what is being filled. */
static int tree_add(struct ferry_visitor *visitor, const char *name, json_t *value, struct ferry_error *err)
{
    struct tree_out *out = tree_self(visitor);
    json_t *top = out->frames ? out->frame[out->frames - 1] : NULL;
    int rc;

    if (!top) {
        out->root = value;
        rc = value ? 0 : -1;
    } else if (json_is_array(top)) {
        rc = json_array_append_new(top, value);
    } else {
        rc = json_object_set_new(top, name, value);
    }
    return rc < 0 ? ferry_error_set(err, -ENOMEM, "out of memory for the tree of values") : 0;
}

static int tree_open(struct ferry_visitor *visitor, const char *name, json_t *value, struct ferry_error *err)
{
    struct tree_out *out = tree_self(visitor);
    int rc = tree_add(visitor, name, value, err);

    if (rc == 0 && out->frames == TREE_FRAMES)
        rc = ferry_error_set(err, -E2BIG, "descriptions are nested too deeply");
    if (rc == 0)
        out->frame[out->frames++] = value;
    return rc;
}

static int tree_close(struct ferry_visitor *visitor, struct ferry_error *err)
{
    tree_self(visitor)->frames--;
    return 0;
}

static json_t *tree_text(const char *format, uint64_t bits)
{
    char text[32];

    snprintf(text, sizeof(text), format, bits);
    return json_string(text);
}

static int tree_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                       struct ferry_error *err)
{
    uint64_t bits = scalar_load(kind, value);
    json_t *made;
    double real;

    memcpy(&real, &bits, sizeof(real));
    if (kind == FERRY_KIND_BOOL)
        made = json_boolean(bits);
    else if (kind == FERRY_KIND_FLOAT64)
        made = isfinite(real) ? json_real(real) : tree_text("0x%016" PRIx64, bits);
    else if (kind == FERRY_KIND_U64 && bits > INT64_MAX)
        made = tree_text("%" PRIu64, bits);
    else
        made = json_integer((json_int_t)bits);
    return tree_add(visitor, name, made, err);
}

static int tree_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                      struct ferry_error *err)
{
    return tree_add(visitor, name, tree_from_bytes(data, bytes), err);
}

static int tree_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    return 0;
}

static int tree_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                       struct ferry_error *err)
{
    size_t count = (bits + 63) / 64;
    uint8_t *wire = malloc(count * 8 + 1);
    int rc;

    if (!wire)
        return ferry_error_set(err, -ENOMEM, "out of memory for the tree of values");
    for (size_t i = 0; i < count; i++)
        store_be64(wire + i * 8, words[i]);
    rc = tree_add(visitor, name, tree_from_bytes(wire, count * 8), err);
    free(wire);
    return rc;
}

static int tree_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom, void *value,
                       size_t size, struct ferry_error *err)
{
    uint8_t *data;
    size_t bytes;
    int rc = scratch_put(custom, value, size, &data, &bytes, err);

    if (rc < 0)
        return rc;
    rc = tree_add(visitor, name, tree_from_bytes(data, bytes), err);
    free(data);
    return rc;
}

static int tree_null(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    return tree_add(visitor, name, json_null(), err);
}

/* The array says it all. */
static int tree_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    return 0;
}

static int tree_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    return 0;
}

static int tree_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                           const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    if (!*which)
        return 0;
    return tree_open(visitor, (*which)->name, json_pack("{s:i}", "version", *version), err);
}

static int tree_begin_struct(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                             int version, struct ferry_error *err)
{
    return tree_open(visitor, name, json_object(), err);
}

static int tree_begin_field(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err)
{
    return tree_is_array(field) ? tree_open(visitor, field->name, json_array(), err) : 0;
}

static int tree_end_field(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err)
{
    return tree_is_array(field) ? tree_close(visitor, err) : 0;
}

static int tree_begin_element(struct ferry_visitor *visitor, const struct visit_field *field,
                              const struct visit_element *element, struct ferry_error *err)
{
    return 0;
}

static int tree_end_element(struct ferry_visitor *visitor, struct ferry_error *err)
{
    return 0;
}

static const struct visitor_shape tree_out_shape = {
    .begin_struct = tree_begin_struct,
    .end_struct = tree_close,
    .begin_field = tree_begin_field,
    .end_field = tree_end_field,
    .begin_element = tree_begin_element,
    .end_element = tree_end_element,
    .end_subsection = tree_close,
};

static const struct visitor_ops tree_out_ops = {
    .scalar = tree_scalar,
    .bytes = tree_bytes,
    .unused = tree_unused,
    .bitmap = tree_bitmap,
    .custom = tree_custom,
    .null = tree_null,
    .more = tree_more,
    .count = tree_count,
    .subsection = tree_subsection,
    .shape = &tree_out_shape,
};

void tree_out_init(struct tree_out *out)
{
    out->visitor.ops = &tree_out_ops;
    out->root = NULL;
    out->frames = 0;
}

void tree_out_release(struct tree_out *out)
{
    json_decref(out->root);
}
