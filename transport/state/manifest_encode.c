/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_encode.c - a manifest as bytes; manifest_wire.h has the format */
#include "manifest.h"

#include "bytes.h"
#include "manifest_wire.h"
#include "schema_kind.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- out ----------------------------------------------------------------------------------------------------------
 */

/* Grows; after a failure it takes nothing more. */
struct sink {
    uint8_t *data; /* owned */
    size_t used, room;
    int failed; /* negative errno */
};

/* NULL: failed. */
static uint8_t *sink_room(struct sink *sink, size_t bytes)
{
    size_t room = sink->room ? sink->room : 4096;
    uint8_t *data;

    if (bytes > MANIFEST_BYTES_MAX - sink->used)
        sink->failed = sink->failed ? sink->failed : -E2BIG;
    if (sink->failed)
        return NULL;
    while (room - sink->used < bytes)
        room *= 2;
    if (room != sink->room) {
        data = realloc(sink->data, room);
        if (!data) {
            sink->failed = -ENOMEM;
            return NULL;
        }
        sink->data = data;
        sink->room = room;
    }
    sink->used += bytes;
    return sink->data + sink->used - bytes;
}

static void put_u8(struct sink *sink, uint8_t value)
{
    uint8_t *to = sink_room(sink, 1);

    if (to)
        *to = value;
}

static void put_be16(struct sink *sink, uint16_t value)
{
    uint8_t *to = sink_room(sink, 2);

    if (to)
        store_be16(to, value);
}

static void put_be32(struct sink *sink, uint32_t value)
{
    uint8_t *to = sink_room(sink, 4);

    if (to)
        store_be32(to, value);
}

static void put_be64(struct sink *sink, uint64_t value)
{
    uint8_t *to = sink_room(sink, 8);

    if (to)
        store_be64(to, value);
}

static void put_text(struct sink *sink, const char *text)
{
    size_t bytes = strlen(text);
    uint8_t *to;

    if (bytes > UINT16_MAX)
        sink->failed = sink->failed ? sink->failed : -E2BIG;
    put_be16(sink, (uint16_t)bytes);
    to = sink_room(sink, bytes);
    if (to)
        memcpy(to, text, bytes);
}

/* Returns where the item began, for item_end(). */
static size_t item_begin(struct sink *sink, enum item_type type)
{
    put_be16(sink, (uint16_t)type);
    put_be32(sink, 0);
    return sink->used;
}

static void item_end(struct sink *sink, size_t began)
{
    if (!sink->failed)
        store_be32(sink->data + began - 4, (uint32_t)(sink->used - began));
}

static void put_field(struct sink *sink, const struct schema_field *field)
{
    size_t began = item_begin(sink, ITEM_FIELD);

    put_u8(sink, schema_kind_number(field->kind));
    put_u8(sink, schema_count_number(field->count_kind));
    put_be16(sink, 0);
    put_be32(sink, field->flags);
    put_be32(sink, field->version);
    put_be64(sink, field->factor);
    put_be64(sink, field->most);
    put_text(sink, field->path);
    put_text(sink, field->type);
    item_end(sink, began);
}

static void put_part(struct sink *sink, const struct schema_part *part)
{
    size_t began = item_begin(sink, ITEM_PART);

    put_be32(sink, part->version);
    put_be32(sink, part->described);
    put_be32(sink, part->minimum);
    put_be32(sink, part->flags);
    put_text(sink, part->name);
    put_text(sink, part->where);
    for (const struct schema_field *f = part->fields; f; f = f->next)
        put_field(sink, f);
    item_end(sink, began);
}

static void put_device(struct sink *sink, const struct manifest_device *device)
{
    size_t began = item_begin(sink, ITEM_DEVICE);

    put_be32(sink, device->instance_id);
    put_be32(sink, device->alias_id);
    put_be32(sink, device->flags);
    put_text(sink, device->idstr);
    put_text(sink, device->model);
    for (const struct manifest_setting *s = device->settings; s; s = s->next) {
        size_t setting = item_begin(sink, ITEM_SETTING);

        put_text(sink, s->name);
        put_text(sink, s->value);
        item_end(sink, setting);
    }
    for (const struct manifest_form *f = device->forms; f; f = f->next) {
        size_t form = item_begin(sink, ITEM_FORM);

        for (const struct schema_part *part = f->parts; part; part = part->next)
            put_part(sink, part);
        item_end(sink, form);
    }
    item_end(sink, began);
}

static void put_block(struct sink *sink, const struct manifest_block *block)
{
    size_t began = item_begin(sink, ITEM_BLOCK);

    put_be64(sink, block->length);
    put_be32(sink, block->page_size);
    put_be32(sink, block->flags);
    put_text(sink, block->name);
    item_end(sink, began);
}

uint8_t *manifest_encode(const struct manifest *manifest, size_t *bytes, struct ferry_error *err)
{
    struct sink sink = { 0 };
    size_t began;

    put_be16(&sink, MANIFEST_FORMAT);
    began = item_begin(&sink, ITEM_PAGES);
    put_be32(&sink, manifest->page_bytes);
    item_end(&sink, began);
    if (*manifest->machine) {
        began = item_begin(&sink, ITEM_MACHINE);
        put_text(&sink, manifest->machine);
        item_end(&sink, began);
    }
    for (const struct manifest_block *b = manifest->blocks; b; b = b->next)
        put_block(&sink, b);
    for (const struct manifest_device *d = manifest->devices; d; d = d->next)
        put_device(&sink, d);
    if (sink.failed) {
        ferry_error_set(err, sink.failed,
                        sink.failed == -E2BIG ? "the guest's manifest would have more than %zu MiB"
                                              : "no memory for a manifest of up to %zu MiB",
                        MANIFEST_BYTES_MAX >> 20);
        free(sink.data);
        return NULL;
    }
    *bytes = sink.used;
    return sink.data;
}
