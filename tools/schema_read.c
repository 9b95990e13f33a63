/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_read.c - a manifest out of its JSON: a file that somebody kept, so what is missing is said by its name */
#include "schema_json.h"

#include "schema_flags.h"
#include "schema_kind.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

struct schema_reader {
    struct arena *arena;
    struct ferry_error *err;
};

static int wrong(const struct schema_reader *r, const char *name)
{
    return ferry_error_set(r->err, -EINVAL, "not a whole schema: '%s' is missing or not what it should be", name);
}

/* @usual: what it is when it is not there; NULL: it must be there. */
static int read_text(const struct schema_reader *r, const json_t *object, const char *name, const char *usual,
                     const char **text)
{
    const json_t *value = json_object_get(object, name);
    const char *there = value ? json_string_value(value) : usual;

    if (!there)
        return wrong(r, name);
    *text = arena_text(r->arena, there, strlen(there), r->err);
    return *text ? 0 : -ENOMEM;
}

static int read_number(const struct schema_reader *r, const json_t *object, const char *name, uint64_t usual,
                       uint64_t most, uint64_t *number)
{
    const json_t *value = json_object_get(object, name);

    *number = value ? (uint64_t)json_integer_value(value) : usual;
    return (value && !json_is_integer(value)) || *number > most ? wrong(r, name) : 0;
}

static int read_u32(const struct schema_reader *r, const json_t *object, const char *name, uint32_t usual,
                    uint32_t most, uint32_t *number)
{
    uint64_t wide = 0;
    int ret = read_number(r, object, name, usual, most, &wide);

    *number = (uint32_t)wide;
    return ret;
}

static uint32_t read_flags(const json_t *object, const struct schema_flag *names)
{
    const json_t *list = json_object_get(object, "flags");
    uint32_t flags = 0;

    for (size_t i = 0; i < json_array_size(list); i++)
        for (const struct schema_flag *n = names; n->name; n++)
            if (json_is_string(json_array_get(list, i)) && !strcmp(n->name, json_string_value(json_array_get(list, i))))
                flags |= n->bit;
    return flags;
}

static int read_field(const struct schema_reader *r, const json_t *object, struct schema_field *field)
{
    const char *kind = NULL, *count = NULL;
    int ret = read_text(r, object, "path", NULL, &field->path);

    if (ret == 0)
        ret = read_text(r, object, "kind", NULL, &kind);
    if (ret == 0)
        ret = read_text(r, object, "type", "", &field->type);
    if (ret == 0)
        ret = read_text(r, object, "count", "fixed", &count);
    if (ret == 0)
        ret = read_number(r, object, "factor", 1, INT64_MAX, &field->factor);
    if (ret == 0)
        ret = read_number(r, object, "most", 1, INT64_MAX, &field->most);
    if (ret == 0)
        ret = read_u32(r, object, "version", 0, INT_MAX, &field->version);
    if (ret < 0)
        return ret;
    field->kind = schema_kind_of_name(kind);
    field->flags = read_flags(object, schema_field_flag_names);
    return schema_count_of_name(count, &field->count_kind) ? 0 : wrong(r, "count");
}

static int read_part(const struct schema_reader *r, const json_t *object, struct schema_part *part)
{
    const json_t *fields = json_object_get(object, "fields");
    struct schema_field **last = &part->fields;
    int ret = read_text(r, object, "name", NULL, &part->name);

    if (ret == 0)
        ret = read_text(r, object, "where", "", &part->where);
    if (ret == 0)
        ret = read_u32(r, object, "version", UINT32_MAX, INT_MAX, &part->version);
    if (ret == 0)
        ret = read_u32(r, object, "described", UINT32_MAX, INT_MAX, &part->described);
    if (ret == 0)
        ret = read_u32(r, object, "minimum", UINT32_MAX, INT_MAX, &part->minimum);
    part->flags = read_flags(object, schema_part_flag_names);
    for (size_t i = 0; ret == 0 && i < json_array_size(fields); i++) {
        *last = arena_get(r->arena, sizeof(**last), r->err);
        ret = *last ? read_field(r, json_array_get(fields, i), *last) : -ENOMEM;
        if (ret == 0)
            last = &(*last)->next;
    }
    return ret;
}

static int read_form(const struct schema_reader *r, const json_t *parts, struct manifest_form *form)
{
    struct schema_part **last = &form->parts;
    int ret = json_array_size(parts) ? 0 : wrong(r, "forms");

    for (size_t i = 0; ret == 0 && i < json_array_size(parts); i++) {
        *last = arena_get(r->arena, sizeof(**last), r->err);
        ret = *last ? read_part(r, json_array_get(parts, i), *last) : -ENOMEM;
        if (ret == 0)
            last = &(*last)->next;
    }
    return ret;
}

static int read_settings(const struct schema_reader *r, json_t *object, struct manifest_device *device)
{
    struct manifest_setting **last = &device->settings;
    const char *name;
    json_t *value;

    json_object_foreach (object, name, value) {
        struct manifest_setting *setting = arena_get(r->arena, sizeof(*setting), r->err);
        const char *text = json_string_value(value);

        if (!setting)
            return -ENOMEM;
        if (!text)
            return wrong(r, name);
        setting->name = arena_text(r->arena, name, strlen(name), r->err);
        setting->value = arena_text(r->arena, text, strlen(text), r->err);
        if (!setting->name || !setting->value)
            return -ENOMEM;
        *last = setting;
        last = &setting->next;
    }
    return 0;
}

static int read_device(const struct schema_reader *r, const json_t *object, struct manifest_device *device)
{
    const json_t *forms = json_object_get(object, "forms");
    struct manifest_form **last = &device->forms;
    int ret = read_text(r, object, "name", NULL, &device->idstr);

    if (ret == 0)
        ret = read_text(r, object, "model", NULL, &device->model);
    if (ret == 0)
        ret = read_u32(r, object, "instance", 0, UINT32_MAX, &device->instance_id);
    if (ret == 0)
        ret = read_u32(r, object, "alias", MANIFEST_NO_ALIAS, UINT32_MAX, &device->alias_id);
    if (ret == 0)
        ret = read_settings(r, json_object_get(object, "configuration"), device);
    if (ret == 0 && json_array_size(forms) == 0)
        ret = wrong(r, "forms");
    device->flags = read_flags(object, schema_device_flag_names);
    for (size_t i = 0; ret == 0 && i < json_array_size(forms); i++) {
        *last = arena_get(r->arena, sizeof(**last), r->err);
        ret = *last ? read_form(r, json_array_get(forms, i), *last) : -ENOMEM;
        if (ret == 0)
            last = &(*last)->next;
    }
    return ret;
}

static int read_block(const struct schema_reader *r, const json_t *object, struct manifest_block *block)
{
    int ret = read_text(r, object, "name", NULL, &block->name);

    if (ret == 0)
        ret = read_number(r, object, "length", 0, INT64_MAX, &block->length);
    if (ret == 0)
        ret = read_u32(r, object, "page-size", 0, UINT32_MAX, &block->page_size);
    block->flags = json_is_true(json_object_get(object, "private")) ? MANIFEST_BLOCK_PRIVATE : 0;
    return ret;
}

static int read_all(const struct schema_reader *r, const json_t *root, struct manifest *manifest)
{
    const json_t *blocks = json_object_get(root, "blocks"), *devices = json_object_get(root, "devices");
    struct manifest_device **last = &manifest->devices;
    struct manifest_block **last_block = &manifest->blocks;
    int ret = 0;

    if (json_integer_value(json_object_get(root, "ferry-schema")) != 1 || !json_is_array(devices))
        return ferry_error_set(r->err, -EINVAL, "not a schema that `ferry schema` has written");
    ret = read_text(r, root, "machine", "", &manifest->machine);
    if (ret == 0)
        ret = read_u32(r, root, "page-bytes", 0, UINT32_MAX, &manifest->page_bytes);
    for (size_t i = 0; ret == 0 && i < json_array_size(blocks); i++) {
        *last_block = arena_get(r->arena, sizeof(**last_block), r->err);
        ret = *last_block ? read_block(r, json_array_get(blocks, i), *last_block) : -ENOMEM;
        if (ret == 0)
            last_block = &(*last_block)->next;
    }
    for (size_t i = 0; ret == 0 && i < json_array_size(devices); i++) {
        *last = arena_get(r->arena, sizeof(**last), r->err);
        ret = *last ? read_device(r, json_array_get(devices, i), *last) : -ENOMEM;
        if (ret == 0)
            last = &(*last)->next;
    }
    return ret;
}

struct manifest *schema_from_json(const json_t *root, struct ferry_error *err)
{
    struct schema_reader r = { .arena = arena_new(MANIFEST_MEMORY_MAX), .err = err };
    struct manifest *manifest = r.arena ? arena_get(r.arena, sizeof(*manifest), err) : NULL;

    if (!manifest) {
        arena_free(r.arena);
        ferry_error_set(err, -ENOMEM, "no memory for a schema");
        return NULL;
    }
    manifest->arena = r.arena;
    if (read_all(&r, root, manifest) == 0)
        return manifest;
    manifest_free(manifest);
    return NULL;
}
