/* SPDX-License-Identifier: BSD-3-Clause */
/* tree_in.c - a JSON tree becomes a device's values
 *
 * Every member must be taken, and every value must be there: a tree that was made by hand is as hostile as a stream.
 */
#include "bytes.h"
#include "scratch.h"
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct tree_in *tree_self(struct ferry_visitor *visitor)
{
    return (struct tree_in *)visitor;
}

static struct tree_frame *tree_top(struct ferry_visitor *visitor)
{
    struct tree_in *in = tree_self(visitor);

    return in->frames ? &in->frame[in->frames - 1] : NULL;
}

static int tree_digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

uint8_t *tree_to_bytes(const json_t *text, size_t *bytes)
{
    const char *digits = json_string_value(text);
    size_t length = json_string_length(text);
    uint8_t *data;

    if (!digits || length % 2 || !(data = malloc(length / 2 + 1)))
        return NULL;
    for (size_t i = 0; i < length / 2; i++) {
        int high = tree_digit(digits[2 * i]), low = tree_digit(digits[2 * i + 1]);

        if (high < 0 || low < 0) {
            free(data);
            return NULL;
        }
        data[i] = (uint8_t)(high << 4 | low);
    }
    *bytes = length / 2;
    return data;
}

/* The next element, or the member @name; borrowed. */
static json_t *tree_take(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    struct tree_frame *top = tree_top(visitor);
    json_t *value;

    if (!top)
        return tree_self(visitor)->root;
    value = json_is_array(top->value) ? json_array_get(top->value, top->used) : json_object_get(top->value, name);
    if (!value)
        ferry_error_set(err, -ENOENT, "not in the tree of values");
    else
        top->used++;
    return value;
}

static int tree_open(struct ferry_visitor *visitor, json_t *value, struct ferry_error *err)
{
    struct tree_in *in = tree_self(visitor);

    if (in->frames == TREE_FRAMES)
        return ferry_error_set(err, -E2BIG, "descriptions are nested too deeply");
    in->frame[in->frames++] = (struct tree_frame){ .value = value };
    return 0;
}

/* Nothing may be left over. */
static int tree_close(struct ferry_visitor *visitor, struct ferry_error *err)
{
    struct tree_frame *top = tree_top(visitor);
    size_t there = json_is_array(top->value) ? json_array_size(top->value) : json_object_size(top->value);

    if (top->used != there)
        return ferry_error_set(err, -EINVAL, "the tree of values has %zu members here, of which %zu are known", there,
                               top->used);
    tree_self(visitor)->frames--;
    return 0;
}

static int tree_wrong(const char *wanted, struct ferry_error *err)
{
    return ferry_error_set(err, -EINVAL, "the tree of values does not hold %s here", wanted);
}

static int tree_real(const json_t *value, uint64_t *bits, struct ferry_error *err)
{
    double real = json_number_value(value);
    const char *text = json_string_value(value);
    char *end;

    memcpy(bits, &real, sizeof(*bits));
    if (json_is_number(value))
        return 0;
    if (!text || strncmp(text, "0x", 2) != 0 || strlen(text) != 18)
        return tree_wrong("a number", err);
    *bits = strtoull(text, &end, 16);
    return *end ? tree_wrong("a number", err) : 0;
}

static int tree_integer(const json_t *value, uint64_t *bits, struct ferry_error *err)
{
    const char *text = json_string_value(value);
    char *end;

    *bits = (uint64_t)json_integer_value(value);
    if (json_is_integer(value))
        return 0;
    if (!text || *text < '0' || *text > '9')
        return tree_wrong("an integer", err);
    errno = 0;
    *bits = strtoull(text, &end, 10);
    return errno || *end ? tree_wrong("an integer", err) : 0;
}

static int tree_scalar(struct ferry_visitor *visitor, const char *name, enum ferry_kind kind, void *value,
                       struct ferry_error *err)
{
    json_t *taken = tree_take(visitor, name, err);
    uint64_t bits = 0, kept = 0;
    int rc;

    if (!taken)
        return -ENOENT;
    if (kind == FERRY_KIND_BOOL)
        rc = json_is_boolean(taken) ? 0 : tree_wrong("true or false", err);
    else if (kind == FERRY_KIND_FLOAT64)
        rc = tree_real(taken, &bits, err);
    else
        rc = tree_integer(taken, &bits, err);
    if (rc < 0)
        return rc;
    if (kind == FERRY_KIND_BOOL)
        bits = json_is_true(taken);
    scalar_store(kind, &kept, bits);
    if (scalar_load(kind, &kept) != bits ||
        (kind == FERRY_KIND_U64 && json_is_integer(taken) && json_integer_value(taken) < 0))
        return tree_wrong("a value that fits", err);
    scalar_store(kind, value, bits);
    return 0;
}

/* The bytes of a text of digits; the caller's, or NULL. */
static uint8_t *tree_take_bytes(struct ferry_visitor *visitor, const char *name, size_t *bytes, struct ferry_error *err)
{
    json_t *taken = tree_take(visitor, name, err);
    uint8_t *data = taken ? tree_to_bytes(taken, bytes) : NULL;

    if (taken && !data)
        tree_wrong("hexadecimal digits", err);
    return data;
}

static int tree_bytes(struct ferry_visitor *visitor, const char *name, void *data, size_t bytes,
                      struct ferry_error *err)
{
    size_t there = 0;
    uint8_t *taken = tree_take_bytes(visitor, name, &there, err);
    int rc = 0;

    if (!taken)
        return -EINVAL;
    if (there != bytes)
        rc = ferry_error_set(err, -EINVAL, "%zu bytes, where %zu must be", there, bytes);
    else if (bytes)
        memcpy(data, taken, bytes);
    free(taken);
    return rc;
}

static int tree_unused(struct ferry_visitor *visitor, size_t bytes, struct ferry_error *err)
{
    return 0;
}

static int tree_bitmap(struct ferry_visitor *visitor, const char *name, uint64_t *words, size_t bits,
                       struct ferry_error *err)
{
    size_t count = (bits + 63) / 64;
    int rc = tree_bytes(visitor, name, words, count * 8, err);

    for (size_t i = 0; rc == 0 && i < count; i++)
        words[i] = load_be64(&words[i]);
    return rc;
}

static int tree_custom(struct ferry_visitor *visitor, const char *name, const struct ferry_custom *custom, void *value,
                       size_t size, struct ferry_error *err)
{
    size_t bytes = 0;
    uint8_t *data = tree_take_bytes(visitor, name, &bytes, err);
    int rc;

    if (!data)
        return -EINVAL;
    rc = scratch_get(custom, value, size, data, bytes, err);
    free(data);
    return rc;
}

static int tree_null(struct ferry_visitor *visitor, const char *name, struct ferry_error *err)
{
    json_t *taken = tree_take(visitor, name, err);

    if (!taken)
        return -ENOENT;
    return json_is_null(taken) ? 0 : tree_wrong("null, which the pointer is", err);
}

static int tree_more(struct ferry_visitor *visitor, bool *more, struct ferry_error *err)
{
    struct tree_frame *top = tree_top(visitor);

    *more = top->used < json_array_size(top->value);
    return 0;
}

static int tree_count(struct ferry_visitor *visitor, uint32_t *count, struct ferry_error *err)
{
    size_t there = json_array_size(tree_top(visitor)->value);

    *count = there < UINT32_MAX ? (uint32_t)there : UINT32_MAX;
    return 0;
}

static int tree_subsection(struct ferry_visitor *visitor, const struct ferry_state_desc *parent,
                           const struct ferry_state_desc **which, int *version, struct ferry_error *err)
{
    struct tree_frame *top = tree_top(visitor);
    json_t *value = NULL, *number;
    int rc;

    *which = NULL;
    while (parent->subsections && parent->subsections[top->subsection] && !value) {
        *which = parent->subsections[top->subsection++];
        value = json_object_get(top->value, (*which)->name);
    }
    if (!value) {
        *which = NULL;
        return 0;
    }
    top->used++;
    rc = tree_open(visitor, value, err);
    if (rc < 0)
        return rc;
    number = tree_take(visitor, "version", err);
    if (!json_is_integer(number) || json_integer_value(number) < 0 || json_integer_value(number) > INT_MAX)
        return tree_wrong("a subsection's version", err);
    *version = (int)json_integer_value(number);
    return 0;
}

static int tree_begin_struct(struct ferry_visitor *visitor, const char *name, const struct ferry_state_desc *desc,
                             int version, struct ferry_error *err)
{
    json_t *taken = tree_take(visitor, name, err);

    if (!taken)
        return -ENOENT;
    return json_is_object(taken) ? tree_open(visitor, taken, err) : tree_wrong("an object", err);
}

static int tree_begin_field(struct ferry_visitor *visitor, const struct visit_field *field, struct ferry_error *err)
{
    json_t *taken;

    if (!tree_is_array(field))
        return 0;
    taken = tree_take(visitor, field->name, err);
    if (!taken)
        return -ENOENT;
    return json_is_array(taken) ? tree_open(visitor, taken, err) : tree_wrong("an array", err);
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

static const struct visitor_shape tree_in_shape = {
    .begin_struct = tree_begin_struct,
    .end_struct = tree_close,
    .begin_field = tree_begin_field,
    .end_field = tree_end_field,
    .begin_element = tree_begin_element,
    .end_element = tree_end_element,
    .end_subsection = tree_close,
};

static const struct visitor_ops tree_in_ops = {
    .loading = true,
    .scalar = tree_scalar,
    .bytes = tree_bytes,
    .unused = tree_unused,
    .bitmap = tree_bitmap,
    .custom = tree_custom,
    .null = tree_null,
    .more = tree_more,
    .count = tree_count,
    .subsection = tree_subsection,
    .shape = &tree_in_shape,
};

void tree_in_init(struct tree_in *in, json_t *root)
{
    in->visitor.ops = &tree_in_ops;
    in->root = root;
    in->frames = 0;
}
