/* SPDX-License-Identifier: BSD-3-Clause */
/* schema.c - what a description puts on the wire, as a flat list */
#include "schema.h"

#include "fields.h"
#include "profile.h"
#include "visitor.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct schema_builder {
    struct arena *arena;
    const struct ferry_profile *profile;
    struct schema_part **last_part;
    unsigned parts;
    struct ferry_error *err;
};

/* Where in the part we are. */
struct schema_place {
    const struct schema_place *outer;
    const struct ferry_state_desc *desc;
    bool nested;                 /* in a field of another description */
    struct schema_field ***last; /* where the next field is to be linked */
    const char *path;            /* "" at the top */
    void *object;                /* NULL: not known */
    uint32_t version;            /* what all fields here have from the fields around them */
    uint32_t flags;
};

static int add_part(struct schema_builder *builder, const struct schema_place *outer,
                    const struct ferry_state_desc *desc);
static int add_fields(struct schema_builder *builder, const struct schema_place *place, int version);

static int out_of_memory(const struct schema_builder *builder)
{
    return builder->err ? builder->err->errnum : -ENOMEM;
}

/* "outer.name", with "[]" behind it where @array. */
static const char *make_path(struct schema_builder *builder, const struct schema_place *place, const char *name,
                             bool array)
{
    char path[SCHEMA_PATH_MAX + 1];
    int bytes = snprintf(path, sizeof(path), "%s%s%s%s", place->path, *place->path ? "." : "", name, array ? "[]" : "");

    if (bytes < 0 || (size_t)bytes > SCHEMA_PATH_MAX) {
        ferry_error_set(builder->err, -EINVAL, "%s: field '%s' lies too deep", place->desc->name, name);
        return NULL;
    }
    return arena_text(builder->arena, path, (size_t)bytes, builder->err);
}

static uint32_t field_flags(const struct ferry_field *field)
{
    return (field->flags & FERRY_FIELD_EQUAL ? SCHEMA_FIELD_EQUAL : 0) |
           (field->flags & FERRY_FIELD_AT_MOST ? SCHEMA_FIELD_AT_MOST : 0) |
           (field->flags & FERRY_FIELD_OF_POINTERS ? SCHEMA_FIELD_NULLABLE : 0) |
           (field->exists ? SCHEMA_FIELD_CONDITIONAL : 0);
}

/* From which version of the part on it exists: a predicate alone decides, where there is one. */
static uint32_t field_version(const struct schema_place *place, const struct ferry_field *field)
{
    uint32_t own = place->nested || field->exists || field->version < 0 ? 0 : (uint32_t)field->version;

    return own > place->version ? own : place->version;
}

static const char *type_name(const struct ferry_field *field)
{
    switch (field->kind) {
    case FERRY_KIND_CUSTOM:
        return field->of.custom->type;
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_VSTRUCT:
        return field->of.desc->name;
    default:
        return "";
    }
}

static int add_entry(struct schema_builder *builder, const struct schema_place *place, const struct ferry_field *field,
                     const char *path)
{
    const char *type = type_name(field);
    struct schema_field *entry = arena_get(builder->arena, sizeof(*entry), builder->err);

    if (!entry)
        return out_of_memory(builder);
    *entry = (struct schema_field){
        .path = path,
        .type = arena_text(builder->arena, type, strlen(type), builder->err),
        .kind = field->kind == FERRY_KIND_VSTRUCT ? FERRY_KIND_STRUCT : field->kind,
        .count_kind = field->count.kind,
        .flags = place->flags | field_flags(field),
        .version = field_version(place, field),
        .factor = field->count.factor,
        .most = field->count.most,
    };
    if (!entry->type)
        return out_of_memory(builder);
    if (field->kind == FERRY_KIND_LIST || field->kind == FERRY_KIND_TREE)
        entry->most = field->kind == FERRY_KIND_LIST ? field->of.list->most : field->of.tree->most;
    **place->last = entry;
    *place->last = &entry->next;
    return 0;
}

static bool is_struct(const struct ferry_field *field)
{
    return field->kind == FERRY_KIND_STRUCT || field->kind == FERRY_KIND_VSTRUCT;
}

static bool is_array(const struct ferry_field *field)
{
    if (field->kind == FERRY_KIND_LIST || field->kind == FERRY_KIND_TREE)
        return true;
    return !field_is_whole(field) && (field->count.kind != FERRY_COUNT_FIXED || field->count.most != 1 ||
                                      (field->flags & FERRY_FIELD_OF_POINTERS));
}

/* A list of a kind that holds a list of its own kind has no end. */
static bool is_within(const struct schema_place *place, const struct ferry_state_desc *desc)
{
    unsigned depth = 0;

    for (; place; place = place->outer)
        if (place->desc == desc || ++depth == FIELDS_DEPTH)
            return true;
    return false;
}

/* The fields of @desc, at @path. */
static int add_inner(struct schema_builder *builder, const struct schema_place *outer, const struct ferry_field *field,
                     const struct ferry_state_desc *desc, const char *path)
{
    struct schema_place place = {
        .outer = outer,
        .desc = desc,
        .nested = true,
        .last = outer->last,
        .path = path,
        .version = field_version(outer, field),
        .flags = outer->flags | (field->exists ? SCHEMA_FIELD_CONDITIONAL : 0),
    };
    int version = profile_version(builder->profile, desc);

    if (is_within(outer, desc))
        return 0;
    if (outer->object && is_struct(field) && field_is_flat(field) && !is_array(field) && !field->exists)
        place.object = (uint8_t *)outer->object + field->offset;
    return add_fields(builder, &place, field->kind == FERRY_KIND_VSTRUCT ? field->struct_version : version);
}

static int add_tree(struct schema_builder *builder, const struct schema_place *place, const struct ferry_field *field,
                    const char *path)
{
    static const struct ferry_field be64 = { .name = "key", .kind = FERRY_KIND_U64, .count = FERRY_FIXED(1) };
    const struct ferry_tree *tree = field->of.tree;
    struct schema_place inside = { .outer = place,
                                   .desc = place->desc,
                                   .nested = true,
                                   .last = place->last,
                                   .path = path,
                                   .version = field_version(place, field),
                                   .flags = place->flags };
    const char *key = make_path(builder, &inside, "key", false), *value = make_path(builder, &inside, "value", false);
    int ret;

    if (!key || !value)
        return out_of_memory(builder);
    ret = tree->key ? add_inner(builder, &inside, field, tree->key, key) : add_entry(builder, &inside, &be64, key);
    return ret < 0 ? ret : add_inner(builder, &inside, field, tree->value, value);
}

static int add_field(struct schema_builder *builder, const struct schema_place *place, const struct ferry_field *field)
{
    bool wrapped = is_struct(field) || field->kind == FERRY_KIND_TMP; /* itself without bytes */
    char name[VISIT_NAME_BYTES];
    const char *path;
    int ret = 0;

    field_unique_name(place->desc, field, name, sizeof(name));
    path = make_path(builder, place, name, is_array(field));
    if (!path)
        return out_of_memory(builder);
    if (!wrapped || is_array(field) || is_within(place, field->of.desc))
        ret = add_entry(builder, place, field, path);
    if (ret < 0)
        return ret;
    if (wrapped)
        return add_inner(builder, place, field, field->of.desc, path);
    if (field->kind == FERRY_KIND_LIST)
        return add_inner(builder, place, field, field->of.list->desc, path);
    return field->kind == FERRY_KIND_TREE ? add_tree(builder, place, field, path) : 0;
}

/* @version: which fields there are; -1: all of them, with what they say themselves */
static int add_fields(struct schema_builder *builder, const struct schema_place *place, int version)
{
    int ret = 0;

    for (const struct ferry_field *f = place->desc->fields; ret == 0 && f->name; f++)
        if (f->kind != FERRY_KIND_VALIDATE && (version < 0 || f->exists || f->version <= version))
            ret = add_field(builder, place, f);
    for (const struct ferry_state_desc *const *sub = place->desc->subsections; ret == 0 && sub && *sub; sub++)
        ret = add_part(builder, place, *sub);
    return ret;
}

static uint32_t part_flags(const struct ferry_state_desc *desc, void *object)
{
    if (!desc->hooks.needed)
        return SCHEMA_PART_IN_USE;
    return SCHEMA_PART_OPTIONAL | (object && desc->hooks.needed(object) ? SCHEMA_PART_IN_USE : 0);
}

/* The body of a device, or a subsection of the struct at @outer. */
static int add_part(struct schema_builder *builder, const struct schema_place *outer,
                    const struct ferry_state_desc *desc)
{
    struct schema_part *part = arena_get(builder->arena, sizeof(*part), builder->err);
    struct schema_field **last;
    struct schema_place place = { .outer = outer, .desc = desc, .last = &last, .path = "", .object = outer->object };

    if (!part)
        return out_of_memory(builder);
    if (++builder->parts > SCHEMA_PARTS_MAX)
        return ferry_error_set(builder->err, -E2BIG, "%s: more than %d subsections", desc->name, SCHEMA_PARTS_MAX);
    *part = (struct schema_part){
        .name = arena_text(builder->arena, desc->name, strlen(desc->name), builder->err),
        .where = outer->path,
        .version = (uint32_t)profile_version(builder->profile, desc),
        .described = (uint32_t)desc->minimum_version_id,
        .minimum = (uint32_t)(desc->hooks.load_old ? desc->minimum_version_id_old : desc->minimum_version_id),
        .flags = part_flags(desc, outer->object),
    };
    if (!part->name)
        return out_of_memory(builder);
    last = &part->fields;
    *builder->last_part = part;
    builder->last_part = &part->next;
    return add_fields(builder, &place, -1);
}

struct schema_part *schema_of(struct arena *arena, const struct ferry_state_desc *desc,
                              const struct ferry_profile *profile, void *object, struct ferry_error *err)
{
    struct ferry_error unnamed = { 0 };
    struct schema_part *parts = NULL;
    struct schema_place place = { .path = "", .object = object };
    struct schema_builder builder = {
        .arena = arena, .profile = profile, .last_part = &parts, .err = err ? err : &unnamed
    };

    return add_part(&builder, &place, desc) == 0 ? parts : NULL;
}
