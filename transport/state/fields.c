/* SPDX-License-Identifier: BSD-3-Clause */
/* fields.c - questions about one field: its type, its name, how many elements, does it exist */
#include "fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct kind_facts {
    const char *type;
    const char *equal; /* the type's name when the value must be the same on both sides */
    uint8_t bytes;     /* of a scalar; 0: not a scalar */
    bool is_signed;
} kinds[] = {
    [FERRY_KIND_U8] = { "uint8", "uint8 equal", 1, false },
    [FERRY_KIND_U16] = { "uint16", "uint16 equal", 2, false },
    [FERRY_KIND_U32] = { "uint32", "uint32 equal", 4, false },
    [FERRY_KIND_U64] = { "uint64", "uint64 equal", 8, false },
    [FERRY_KIND_I8] = { "int8", "int8 equal", 1, true },
    [FERRY_KIND_I16] = { "int16", "int16 equal", 2, true },
    [FERRY_KIND_I32] = { "int32", "int32 equal", 4, true },
    [FERRY_KIND_I64] = { "int64", "int64 equal", 8, true },
    [FERRY_KIND_BOOL] = { "bool", "bool equal", 1, false },
    [FERRY_KIND_FLOAT64] = { "float64", "float64 equal", 8, false },
    [FERRY_KIND_TIMER] = { "timer", "timer equal", 8, true },
    [FERRY_KIND_BUFFER] = { .type = "buffer" },
    [FERRY_KIND_UNUSED] = { .type = "unused_buffer" },
    [FERRY_KIND_BITMAP] = { .type = "bitmap" },
    [FERRY_KIND_STRUCT] = { .type = "struct" },
    [FERRY_KIND_VSTRUCT] = { .type = "vstruct" },
    [FERRY_KIND_CUSTOM] = { .type = "custom" },
    [FERRY_KIND_LIST] = { .type = "qtailq" },
    [FERRY_KIND_TREE] = { .type = "gtree" },
    [FERRY_KIND_TMP] = { .type = "tmp" },
    [FERRY_KIND_VALIDATE] = { .type = "validate" },
};

bool kind_is_scalar(enum ferry_kind kind)
{
    return kinds[kind].bytes != 0;
}

size_t kind_bytes(enum ferry_kind kind)
{
    return kinds[kind].bytes;
}

bool kind_is_signed(enum ferry_kind kind)
{
    return kinds[kind].is_signed;
}

uint64_t scalar_load(enum ferry_kind kind, const void *value)
{
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } bits;

    memcpy(&bits, value, kind_bytes(kind));
    switch (kind_bytes(kind)) {
    case 1:
        return kind_is_signed(kind) ? (uint64_t)(int8_t)bits.u8 : bits.u8;
    case 2:
        return kind_is_signed(kind) ? (uint64_t)(int16_t)bits.u16 : bits.u16;
    case 4:
        return kind_is_signed(kind) ? (uint64_t)(int32_t)bits.u32 : bits.u32;
    default:
        return bits.u64;
    }
}

void scalar_store(enum ferry_kind kind, void *value, uint64_t bits)
{
    uint8_t u8 = (uint8_t)bits;
    uint16_t u16 = (uint16_t)bits;
    uint32_t u32 = (uint32_t)bits;

    if (kind == FERRY_KIND_BOOL)
        u8 = bits != 0; /* any other byte in a bool is undefined behaviour */
    switch (kind_bytes(kind)) {
    case 1:
        memcpy(value, &u8, 1);
        break;
    case 2:
        memcpy(value, &u16, 2);
        break;
    case 4:
        memcpy(value, &u32, 4);
        break;
    default:
        memcpy(value, &bits, 8);
    }
}

bool field_is_whole(const struct ferry_field *field)
{
    return field->kind == FERRY_KIND_BUFFER || field->kind == FERRY_KIND_UNUSED || field->kind == FERRY_KIND_BITMAP;
}

bool field_is_flat(const struct ferry_field *field)
{
    if (field->flags & (FERRY_FIELD_POINTER | FERRY_FIELD_ALLOCATE | FERRY_FIELD_OF_POINTERS))
        return false;
    switch (field->kind) {
    case FERRY_KIND_UNUSED:
    case FERRY_KIND_BITMAP:
    case FERRY_KIND_LIST:
    case FERRY_KIND_TREE:
    case FERRY_KIND_TMP:
    case FERRY_KIND_VALIDATE:
        return false;
    default:
        return true;
    }
}

bool field_exists(const struct ferry_field *field, void *object, int version)
{
    return field->exists ? field->exists(object, version) : field->version <= version;
}

int field_count(const struct ferry_field *field, const void *object, size_t *count, struct ferry_error *err)
{
    static const enum ferry_kind counting[] = {
        [FERRY_COUNT_U8] = FERRY_KIND_U8,
        [FERRY_COUNT_U16] = FERRY_KIND_U16,
        [FERRY_COUNT_U32] = FERRY_KIND_U32,
        [FERRY_COUNT_I32] = FERRY_KIND_I32,
    };
    const struct ferry_count *how = &field->count;
    int64_t value;

    if (how->kind == FERRY_COUNT_FIXED) {
        *count = how->most;
        return 0;
    }
    value = (int64_t)scalar_load(counting[how->kind], (const uint8_t *)object + how->offset);
    if (value < 0 || (how->factor && (uint64_t)value > how->most / how->factor))
        return ferry_error_set(err, -EPROTO, "a count of %" PRId64 " x %zu, where at most %zu are allowed", value,
                               how->factor, how->most);
    *count = (size_t)value * how->factor;
    return 0;
}

const char *field_type(const struct ferry_field *field)
{
    if (field->flags & FERRY_FIELD_EQUAL)
        return kinds[field->kind].equal;
    if (field->flags & FERRY_FIELD_AT_MOST)
        return "int32 le";
    if (field->kind == FERRY_KIND_CUSTOM)
        return field->of.custom->type;
    if (field->kind == FERRY_KIND_LIST)
        return field->of.list->ops->type;
    return kinds[field->kind].type;
}

void field_unique_name(const struct ferry_state_desc *desc, const struct ferry_field *field, char *to, size_t room)
{
    unsigned same = 0, before = 0;

    for (const struct ferry_field *f = desc->fields; f->name; f++) {
        if (strcmp(f->name, field->name) != 0)
            continue;
        same++;
        before += f < field;
    }
    if (same > 1)
        snprintf(to, room, "%s[%u]", field->name, before);
    else
        snprintf(to, room, "%s", field->name);
}

bool field_alike(const struct ferry_field *field)
{
    if (field->exists)
        return false;
    if (field->kind != FERRY_KIND_STRUCT)
        return true;
    for (const struct ferry_field *f = field->of.desc->fields; f->name; f++)
        if (!field_alike(f))
            return false;
    return !field->of.desc->subsections;
}

const struct ferry_state_desc *field_find_subsection(const struct ferry_state_desc *desc, const char *name,
                                                     size_t name_bytes)
{
    for (const struct ferry_state_desc *const *sub = desc->subsections; sub && *sub; sub++)
        if (strlen((*sub)->name) == name_bytes && memcmp((*sub)->name, name, name_bytes) == 0)
            return *sub;
    return NULL;
}

unsigned field_subsection_index(const struct ferry_state_desc *desc, const struct ferry_state_desc *sub)
{
    unsigned i = 0;

    while (desc->subsections[i] != sub)
        i++;
    return i;
}

static int validate(const struct ferry_state_desc *desc, const struct ferry_state_desc *parent, unsigned depth,
                    struct ferry_error *err);

/* An element may hold a list of its own kind, without end: a few levels of that are enough to look at. */
#define LIST_DEPTH 8

static int validate_field(const struct ferry_state_desc *desc, const struct ferry_field *field, unsigned depth,
                          struct ferry_error *err)
{
    const struct ferry_state_desc *inner = NULL;
    bool complete = true;

    switch (field->kind) {
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_VSTRUCT:
    case FERRY_KIND_TMP:
        inner = field->of.desc;
        complete = inner && inner->size == field->size;
        break;
    case FERRY_KIND_LIST:
        complete = field->of.list && field->of.list->desc && field->of.list->desc->size;
        inner = complete ? field->of.list->desc : NULL;
        depth += LIST_DEPTH;
        break;
    case FERRY_KIND_TREE:
        complete = field->of.tree && field->of.tree->ops && field->of.tree->value && field->of.tree->node_size;
        inner = complete ? field->of.tree->value : NULL;
        depth += LIST_DEPTH;
        break;
    case FERRY_KIND_CUSTOM:
        complete = field->of.custom && field->of.custom->type &&
                   (field->of.custom->visit || (field->of.custom->put && field->of.custom->get));
        break;
    case FERRY_KIND_VALIDATE:
        complete = field->exists != NULL;
        break;
    default:
        break;
    }
    if (!complete)
        return ferry_error_set(err, -EINVAL, "%s: field '%s' is not described completely, or not in its size",
                               desc->name, field->name);
    return inner && depth < FIELDS_DEPTH ? validate(inner, NULL, depth + 1, err) : 0;
}

static int validate(const struct ferry_state_desc *desc, const struct ferry_state_desc *parent, unsigned depth,
                    struct ferry_error *err)
{
    unsigned subsections = 0;

    if (!desc->name || !*desc->name || strlen(desc->name) > 255 || !desc->fields)
        return ferry_error_set(err, -EINVAL, "a description needs a name of 1 to 255 bytes, and fields");
    if (!parent && !desc->size)
        return ferry_error_set(err, -EINVAL, "%s: the description does not say the size of its struct", desc->name);
    if (desc->minimum_version_id > desc->version_id || desc->minimum_version_id < 0)
        return ferry_error_set(err, -EINVAL, "%s: versions %d to %d", desc->name, desc->minimum_version_id,
                               desc->version_id);
    if (parent &&
        (strncmp(desc->name, parent->name, strlen(parent->name)) != 0 || strlen(desc->name) == strlen(parent->name)))
        return ferry_error_set(err, -EINVAL, "%s: the name of a subsection of '%s' must begin with that name",
                               desc->name, parent->name);
    for (const struct ferry_field *field = desc->fields; field->name; field++) {
        int rc = validate_field(desc, field, depth, err);

        if (rc < 0)
            return rc;
    }
    for (const struct ferry_state_desc *const *sub = desc->subsections; sub && *sub; sub++) {
        int rc = ++subsections > 64 ? ferry_error_set(err, -EINVAL, "%s: more than 64 subsections", desc->name)
                                    : validate(*sub, desc, depth + 1, err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

int fields_validate(const struct ferry_state_desc *desc, struct ferry_error *err)
{
    return validate(desc, NULL, 0, err);
}
