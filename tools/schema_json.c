/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_json.c - a manifest as JSON, for people, scripts and version control */
#include "schema_json.h"

#include "schema_flags.h"
#include "schema_kind.h"

/* Whoever has no memory returns NULL, and who is given NULL, too. */

/* Takes both. */
static json_t *append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) == 0)
        return list;
    json_decref(list);
    return NULL;
}

/* Takes both. */
static json_t *put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *put_flags(json_t *object, const struct schema_flag *names, uint32_t flags)
{
    json_t *list = json_array();
    bool any = false;

    for (; names->name; names++) {
        if (flags & names->bit) {
            list = append(list, json_string(names->name));
            any = true;
        }
    }
    if (any)
        return put(object, "flags", list);
    json_decref(list);
    return object;
}

static json_t *put_number(json_t *object, const char *name, uint64_t value, uint64_t usual)
{
    return value == usual ? object : put(object, name, json_integer((json_int_t)value));
}

static json_t *put_text(json_t *object, const char *name, const char *text)
{
    return *text ? put(object, name, json_string(text)) : object;
}

static json_t *field_json(const struct schema_field *field)
{
    json_t *object = json_pack("{s:s, s:s}", "path", field->path, "kind", schema_kind_name(field->kind));

    object = put_text(object, "type", field->type);
    if (field->count_kind != FERRY_COUNT_FIXED)
        object = put(object, "count", json_string(schema_count_name(field->count_kind)));
    object = put_number(object, "factor", field->factor, 1);
    object = put_number(object, "most", field->most, 1);
    object = put_number(object, "version", field->version, 0);
    return put_flags(object, schema_field_flag_names, field->flags);
}

static json_t *part_json(const struct schema_part *part)
{
    json_t *object = put_text(json_pack("{s:s}", "name", part->name), "where", part->where), *fields = json_array();

    object = put(object, "version", json_integer(part->version));
    object = put(object, "described", json_integer(part->described));
    object = put(object, "minimum", json_integer(part->minimum));
    object = put_flags(object, schema_part_flag_names, part->flags);
    for (const struct schema_field *f = part->fields; f; f = f->next)
        fields = append(fields, field_json(f));
    return put(object, "fields", fields);
}

static json_t *form_json(const struct manifest_form *form)
{
    json_t *parts = json_array();

    for (const struct schema_part *p = form->parts; p; p = p->next)
        parts = append(parts, part_json(p));
    return parts;
}

static json_t *device_json(const struct manifest_device *device)
{
    json_t *object = json_pack("{s:s, s:I}", "name", device->idstr, "instance", (json_int_t)device->instance_id);
    json_t *configuration = json_object(), *forms = json_array();

    object = put_number(object, "alias", device->alias_id, MANIFEST_NO_ALIAS);
    object = put_text(object, "model", device->model);
    object = put_flags(object, schema_device_flag_names, device->flags);
    for (const struct manifest_setting *s = device->settings; s; s = s->next)
        configuration = put(configuration, s->name, json_string(s->value));
    if (device->settings)
        object = put(object, "configuration", configuration);
    else
        json_decref(configuration);
    for (const struct manifest_form *f = device->forms; f; f = f->next)
        forms = append(forms, form_json(f));
    return put(object, "forms", forms);
}

static json_t *block_json(const struct manifest_block *block)
{
    return json_pack("{s:s, s:I, s:I, s:b}", "name", block->name, "length", (json_int_t)block->length, "page-size",
                     (json_int_t)block->page_size, "private", (block->flags & MANIFEST_BLOCK_PRIVATE) != 0);
}

json_t *schema_to_json(const struct manifest *manifest)
{
    json_t *root = json_pack("{s:i, s:s, s:I}", "ferry-schema", 1, "machine", manifest->machine, "page-bytes",
                             (json_int_t)manifest->page_bytes);
    json_t *blocks = json_array(), *devices = json_array();

    for (const struct manifest_block *b = manifest->blocks; b; b = b->next)
        blocks = append(blocks, block_json(b));
    for (const struct manifest_device *d = manifest->devices; d; d = d->next)
        devices = append(devices, device_json(d));
    return put(put(root, "blocks", blocks), "devices", devices);
}
