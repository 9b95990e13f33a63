/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_decode.c - a manifest out of a peer's bytes; manifest_wire.h has the format
 *
 * Each getter takes its bytes from what is left of the item that it is in, and no item reaches beyond the one around
 * it.  Counts are bounded one by one, memory by the arena.
 */
#include "manifest.h"

#include "bytes.h"
#include "manifest_wire.h"
#include "schema_kind.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* What is left of an item. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

struct decoder {
    struct manifest *manifest;
    const uint8_t *data; /* the whole, to say where something is wrong */
    struct ferry_error *err;
    unsigned blocks, devices;
    struct manifest_block **last_block;
    struct manifest_device **last_device;
};

static int broken(const struct decoder *d, const struct cursor *c, const char *what)
{
    return ferry_error_set(d->err, -EPROTO, "a malformed manifest: %s at byte %zu", what, (size_t)(c->at - d->data));
}

/* ---- plain values -------------------------------------------------------------------------------------------------
 */

/* NULL: there are fewer. */
static const uint8_t *take(struct cursor *c, size_t bytes)
{
    const uint8_t *at = c->at;

    if (bytes > c->left)
        return NULL;
    c->at += bytes;
    c->left -= bytes;
    return at;
}

/* Of at most @most bytes, and of at least @least; without NUL. */
static int get_text(struct decoder *d, struct cursor *c, size_t least, size_t most, const char **text)
{
    const uint8_t *head = take(c, 2);
    size_t bytes = head ? load_be16(head) : 0;
    const uint8_t *from = head ? take(c, bytes) : NULL;

    if (!from)
        return broken(d, c, "a text that is cut");
    if (bytes < least || bytes > most || memchr(from, 0, bytes))
        return broken(d, c, "a text that is empty, too long, or holds a NUL");
    *text = arena_text(d->manifest->arena, (const char *)from, bytes, d->err);
    return *text ? 0 : -ENOMEM;
}

/* The next item of @c; 0: there is none. */
static int next_item(struct decoder *d, struct cursor *c, uint16_t *type, struct cursor *item)
{
    const uint8_t *head;

    if (c->left == 0)
        return 0;
    head = take(c, ITEM_HEAD_BYTES);
    if (!head)
        return broken(d, c, "an item that is cut");
    *type = load_be16(head);
    item->left = load_be32(head + 2);
    item->at = take(c, item->left);
    if (!item->at)
        return broken(d, c, "an item that is longer than what it is in");
    return *type ? 1 : broken(d, c, "an item of type 0");
}

/* Versions are ints everywhere else. */
static int get_version(struct decoder *d, const struct cursor *c, const uint8_t *from, uint32_t *version)
{
    *version = load_be32(from);
    return *version <= INT_MAX ? 0 : broken(d, c, "a version that cannot be");
}

/* ---- devices -------------------------------------------------------------------------------------------------------
 */

static int get_field(struct decoder *d, struct cursor *c, struct schema_field ***last)
{
    struct schema_field *field = arena_get(d->manifest->arena, sizeof(*field), d->err);
    const uint8_t *head = take(c, 28);
    int ret;

    if (!field)
        return -ENOMEM;
    if (!head)
        return broken(d, c, "a field that is cut");
    field->kind = schema_kind_of_number(head[0]);
    field->flags = load_be32(head + 4);
    field->factor = load_be64(head + 12);
    field->most = load_be64(head + 20);
    if (!schema_count_of_number(head[1], &field->count_kind))
        field->kind = FERRY_KIND_END; /* counted as we do not know */
    ret = get_version(d, c, head + 8, &field->version);
    if (ret == 0)
        ret = get_text(d, c, 1, SCHEMA_PATH_MAX, &field->path);
    if (ret == 0)
        ret = get_text(d, c, 0, UINT16_MAX, &field->type);
    **last = field;
    *last = &field->next;
    return ret;
}

static int get_fields(struct decoder *d, struct cursor *c, struct schema_part *part)
{
    struct schema_field **last = &part->fields;
    unsigned fields = 0;
    struct cursor item;
    uint16_t type = 0;
    int ret;

    while ((ret = next_item(d, c, &type, &item)) > 0) {
        if (type != ITEM_FIELD)
            continue;
        if (++fields > SCHEMA_FIELDS_MAX)
            return broken(d, &item, "too many fields");
        ret = get_field(d, &item, &last);
        if (ret < 0)
            break;
    }
    return ret;
}

static int get_part(struct decoder *d, struct cursor *c, struct schema_part ***last)
{
    struct schema_part *part = arena_get(d->manifest->arena, sizeof(*part), d->err);
    const uint8_t *head = take(c, 16);
    int ret;

    if (!part)
        return -ENOMEM;
    if (!head)
        return broken(d, c, "a part that is cut");
    ret = get_version(d, c, head, &part->version);
    if (ret == 0)
        ret = get_version(d, c, head + 4, &part->described);
    if (ret == 0)
        ret = get_version(d, c, head + 8, &part->minimum);
    part->flags = load_be32(head + 12);
    if (ret == 0)
        ret = get_text(d, c, 1, 255, &part->name);
    if (ret == 0)
        ret = get_text(d, c, 0, SCHEMA_PATH_MAX, &part->where);
    **last = part;
    *last = &part->next;
    return ret < 0 ? ret : get_fields(d, c, part);
}

static int get_form(struct decoder *d, struct cursor *c, struct manifest_form ***last)
{
    struct manifest_form *form = arena_get(d->manifest->arena, sizeof(*form), d->err);
    struct schema_part **last_part;
    unsigned parts = 0;
    struct cursor item;
    uint16_t type = 0;
    int ret;

    if (!form)
        return -ENOMEM;
    last_part = &form->parts;
    while ((ret = next_item(d, c, &type, &item)) > 0) {
        if (type != ITEM_PART)
            continue;
        if (++parts > SCHEMA_PARTS_MAX)
            return broken(d, &item, "too many parts");
        ret = get_part(d, &item, &last_part);
        if (ret < 0)
            break;
    }
    **last = form;
    *last = &form->next;
    return ret < 0 || parts ? ret : broken(d, c, "a form without a body");
}

static int get_setting(struct decoder *d, struct cursor *c, struct manifest_setting ***last)
{
    struct manifest_setting *setting = arena_get(d->manifest->arena, sizeof(*setting), d->err);
    int ret;

    if (!setting)
        return -ENOMEM;
    ret = get_text(d, c, 1, FERRY_SETTING_NAME_MAX, &setting->name);
    if (ret == 0)
        ret = get_text(d, c, 0, FERRY_SETTING_VALUE_MAX, &setting->value);
    **last = setting;
    *last = &setting->next;
    return ret;
}

static int get_device_items(struct decoder *d, struct cursor *c, struct manifest_device *device)
{
    struct manifest_setting **last_setting = &device->settings;
    struct manifest_form **last_form = &device->forms;
    unsigned settings = 0, forms = 0;
    struct cursor item;
    uint16_t type = 0;
    int ret;

    while ((ret = next_item(d, c, &type, &item)) > 0) {
        if (type == ITEM_SETTING)
            ret = ++settings > FERRY_SETTINGS_MAX ? broken(d, &item, "too many settings")
                                                  : get_setting(d, &item, &last_setting);
        else if (type == ITEM_FORM)
            ret = ++forms > MANIFEST_FORMS_MAX ? broken(d, &item, "too many forms") : get_form(d, &item, &last_form);
        if (ret < 0)
            return ret;
    }
    return ret < 0 || forms ? ret : broken(d, c, "a device in no form");
}

static int get_device(struct decoder *d, struct cursor *c)
{
    struct manifest_device *device = arena_get(d->manifest->arena, sizeof(*device), d->err);
    const uint8_t *head = take(c, 12);
    int ret;

    if (!device)
        return -ENOMEM;
    if (!head)
        return broken(d, c, "a device that is cut");
    if (++d->devices > MANIFEST_DEVICES_MAX)
        return broken(d, c, "too many devices");
    device->instance_id = load_be32(head);
    device->alias_id = load_be32(head + 4);
    device->flags = load_be32(head + 8);
    ret = get_text(d, c, 1, 255, &device->idstr);
    if (ret == 0)
        ret = get_text(d, c, 1, FERRY_MODEL_ID_MAX, &device->model);
    *d->last_device = device;
    d->last_device = &device->next;
    return ret < 0 ? ret : get_device_items(d, c, device);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------
 */

static int get_block(struct decoder *d, struct cursor *c)
{
    struct manifest_block *block = arena_get(d->manifest->arena, sizeof(*block), d->err);
    const uint8_t *head = take(c, 16);

    if (!block)
        return -ENOMEM;
    if (!head)
        return broken(d, c, "a block that is cut");
    if (++d->blocks > FERRY_BLOCKS_MAX)
        return broken(d, c, "too many blocks");
    block->length = load_be64(head);
    block->page_size = load_be32(head + 8);
    block->flags = load_be32(head + 12);
    *d->last_block = block;
    d->last_block = &block->next;
    return get_text(d, c, 1, FERRY_BLOCK_NAME_MAX, &block->name);
}

static int get_pages(struct decoder *d, struct cursor *c)
{
    const uint8_t *head = take(c, 4);

    if (!head || load_be32(head) == 0)
        return broken(d, c, "pages of no size");
    d->manifest->page_bytes = load_be32(head);
    return 0;
}

static int get_all(struct decoder *d, struct cursor *c)
{
    const uint8_t *format = take(c, 2);
    struct cursor item;
    uint16_t type = 0;
    int ret;

    if (!format || load_be16(format) != MANIFEST_FORMAT)
        return broken(d, c, "a format that is not known here");
    while ((ret = next_item(d, c, &type, &item)) > 0) {
        if (type == ITEM_PAGES)
            ret = get_pages(d, &item);
        else if (type == ITEM_MACHINE)
            ret = get_text(d, &item, 0, 255, &d->manifest->machine);
        else if (type == ITEM_BLOCK)
            ret = get_block(d, &item);
        else if (type == ITEM_DEVICE)
            ret = get_device(d, &item);
        if (ret < 0)
            return ret;
    }
    if (ret == 0 && d->manifest->page_bytes == 0)
        return broken(d, c, "it does not say the size of a page");
    return ret;
}

struct manifest *manifest_decode(const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    struct arena *arena = arena_new(MANIFEST_MEMORY_MAX);
    struct decoder d = { .data = data, .err = err };
    struct cursor all = { data, bytes };

    d.manifest = arena ? arena_get(arena, sizeof(*d.manifest), NULL) : NULL;
    if (!d.manifest) {
        ferry_error_set(err, -ENOMEM, "no memory for the peer's manifest");
        arena_free(arena);
        return NULL;
    }
    d.manifest->arena = arena;
    d.manifest->machine = "";
    d.last_block = &d.manifest->blocks;
    d.last_device = &d.manifest->devices;
    if (bytes <= MANIFEST_BYTES_MAX ? get_all(&d, &all) == 0 : broken(&d, &all, "more than 16 MiB") == 0)
        return d.manifest;
    manifest_free(d.manifest);
    return NULL;
}
