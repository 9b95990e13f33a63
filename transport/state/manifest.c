/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest.c - what a guest consists of, made of the guest itself */
#include "manifest.h"

#include <errno.h>
#include <string.h>

struct builder {
    struct manifest *manifest;
    const struct manifest_of *of;
    struct ferry_error *err;
};

void manifest_free(struct manifest *manifest)
{
    struct arena *arena = manifest ? manifest->arena : NULL;

    arena_free(arena); /* the manifest itself is in it */
}

static const char *copy_text(struct builder *b, const char *text)
{
    return arena_text(b->manifest->arena, text, strlen(text), b->err);
}

static int add_blocks(struct builder *b)
{
    struct manifest_block **last = &b->manifest->blocks;

    for (unsigned i = 0; i < b->of->ram->count; i++) {
        const struct ferry_block *info = &b->of->ram->blocks[i]->info;
        struct manifest_block *block = arena_get(b->manifest->arena, sizeof(*block), b->err);

        if (!block)
            return -ENOMEM;
        block->name = copy_text(b, info->name);
        if (!block->name)
            return -ENOMEM;
        block->length = info->length;
        block->page_size = info->page_size;
        block->flags = info->flags & FERRY_BLOCK_PRIVATE ? MANIFEST_BLOCK_PRIVATE : 0;
        *last = block;
        last = &block->next;
    }
    return 0;
}

static int add_settings(struct builder *b, struct manifest_device *to, const struct ferry_model *model)
{
    struct manifest_setting **last = &to->settings;

    for (const struct ferry_setting *s = model ? model->settings : NULL; s && s->name; s++) {
        struct manifest_setting *setting = arena_get(b->manifest->arena, sizeof(*setting), b->err);

        if (!setting)
            return -ENOMEM;
        setting->name = copy_text(b, s->name);
        setting->value = copy_text(b, s->value);
        if (!setting->name || !setting->value)
            return -ENOMEM;
        *last = setting;
        last = &setting->next;
    }
    return 0;
}

/* A device without a description: its versions are all that is known. */
static struct schema_part *opaque_parts(struct builder *b, const char *name, uint32_t version, uint32_t minimum)
{
    struct schema_part *part = arena_get(b->manifest->arena, sizeof(*part), b->err);

    if (!part)
        return NULL;
    *part = (struct schema_part){
        .name = copy_text(b, name),
        .where = "",
        .version = version,
        .described = minimum,
        .minimum = minimum,
        .flags = SCHEMA_PART_IN_USE | SCHEMA_PART_OPAQUE,
    };
    return part->name ? part : NULL;
}

static int add_form(struct builder *b, struct manifest_form ***last, struct schema_part *parts)
{
    struct manifest_form *form = parts ? arena_get(b->manifest->arena, sizeof(*form), b->err) : NULL;

    if (!form)
        return b->err->errnum;
    form->parts = parts;
    **last = form;
    *last = &form->next;
    return 0;
}

/* What the device saves or loads by itself, then what converters make possible. */
static int add_forms(struct builder *b, struct manifest_device *to, const struct device *device)
{
    const struct convert_list *converters = device_list_converters(b->of->devices);
    bool source = b->of->side == MANIFEST_SOURCE;
    const struct ferry_profile *profile = source ? b->of->profile : NULL;
    struct manifest_form **last = &to->forms;
    unsigned forms = 1;
    int ret;

    if (!device->desc)
        return add_form(b, &last,
                        opaque_parts(b, device->idstr, (uint32_t)device->legacy.version_id,
                                     (uint32_t)device->legacy.minimum_version_id));
    ret = add_form(b, &last,
                   schema_of(b->manifest->arena, device->desc, profile, source ? device->opaque : NULL, b->err));
    for (unsigned i = 0; ret == 0 && i < converters->count && forms < MANIFEST_FORMS_MAX; i++) {
        const struct ferry_converter *row = converters->rows[i];

        if (strcmp(row->other->name, device->desc->name) != 0 || !(source ? row->to_other : row->from_other))
            continue;
        ret = add_form(b, &last, schema_of(b->manifest->arena, row->other, NULL, NULL, b->err));
        forms++;
    }
    return ret;
}

static uint32_t device_flags(const struct device *device, enum manifest_side side)
{
    uint32_t flags = device->desc ? 0 : MANIFEST_DEVICE_LEGACY;

    if (!device->desc || !device->desc->hooks.needed)
        return flags | MANIFEST_DEVICE_IN_USE;
    flags |= MANIFEST_DEVICE_OPTIONAL;
    return flags | (side == MANIFEST_SOURCE && device_needed(device) ? MANIFEST_DEVICE_IN_USE : 0);
}

static int add_device(struct builder *b, const struct device *device, struct manifest_device ***last)
{
    struct manifest_device *to = arena_get(b->manifest->arena, sizeof(*to), b->err);
    int ret;

    if (!to)
        return -ENOMEM;
    to->idstr = copy_text(b, device->idstr);
    to->model = copy_text(b, device_model_id(device));
    if (!to->idstr || !to->model)
        return -ENOMEM;
    to->instance_id = device->instance_id;
    to->alias_id = device->alias_id == DEVICE_NO_ALIAS ? MANIFEST_NO_ALIAS : (uint32_t)device->alias_id;
    to->flags = device_flags(device, b->of->side);
    ret = add_settings(b, to, device->model);
    if (ret == 0)
        ret = add_forms(b, to, device);
    **last = to;
    *last = &to->next;
    return ret;
}

static int add_devices(struct builder *b)
{
    struct manifest_device **last = &b->manifest->devices;
    unsigned count = 0;
    int ret = 0;

    for (struct device *d = device_first(b->of->devices); ret == 0 && d; d = device_next(d))
        ret = ++count > MANIFEST_DEVICES_MAX
                  ? ferry_error_set(b->err, -E2BIG, "more than %d devices", MANIFEST_DEVICES_MAX)
                  : add_device(b, d, &last);
    return ret;
}

struct manifest *manifest_build(const struct manifest_of *of, struct ferry_error *err)
{
    struct ferry_error unnamed;
    struct arena *arena = arena_new(MANIFEST_MEMORY_MAX);
    struct builder b = { .of = of, .err = err ? err : &unnamed };
    int ret = 0;

    b.manifest = arena ? arena_get(arena, sizeof(*b.manifest), NULL) : NULL;
    if (!b.manifest) {
        ferry_error_set(err, -ENOMEM, "no memory for a manifest");
        arena_free(arena);
        return NULL;
    }
    b.manifest->arena = arena;
    b.manifest->page_bytes = FERRY_PAGE_BYTES;
    b.manifest->machine = copy_text(&b, of->machine);
    if (!b.manifest->machine)
        ret = -ENOMEM;
    if (ret == 0)
        ret = add_blocks(&b);
    if (ret == 0)
        ret = add_devices(&b);
    if (ret == 0)
        return b.manifest;
    manifest_free(b.manifest);
    return NULL;
}

int manifest_add_iterative(struct manifest *manifest, const struct manifest_iterative *info, struct ferry_error *err)
{
    struct ferry_error unnamed;
    struct builder b = { .manifest = manifest, .err = err ? err : &unnamed };
    struct manifest_device *to = arena_get(manifest->arena, sizeof(*to), b.err), **last = &manifest->devices;
    struct manifest_form **last_form;
    unsigned count = 1;
    int ret;

    if (!to)
        return -ENOMEM;
    for (; *last; last = &(*last)->next)
        count++;
    if (count > MANIFEST_DEVICES_MAX)
        return ferry_error_set(err, -E2BIG, "more than %d devices", MANIFEST_DEVICES_MAX);
    to->idstr = copy_text(&b, info->idstr);
    to->model = copy_text(&b, info->model ? info->model->id : info->idstr);
    if (!to->idstr || !to->model)
        return -ENOMEM;
    to->instance_id = info->instance_id;
    to->alias_id = MANIFEST_NO_ALIAS;
    to->flags = MANIFEST_DEVICE_ITERATIVE | (info->optional ? MANIFEST_DEVICE_OPTIONAL : 0) |
                (info->in_use ? MANIFEST_DEVICE_IN_USE : 0);
    last_form = &to->forms;
    ret = add_settings(&b, to, info->model);
    if (ret == 0)
        ret = add_form(&b, &last_form, opaque_parts(&b, info->idstr, info->version, 1));
    *last = to;
    return ret;
}
