/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_json.c - what was found, as one JSON object */
#include "inspect_json.h"

#include "inspect_fields.h"
#include "inspect_json_parts.h"
#include "inspect_postcopy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM (2 * FERRY_ERROR_TEXT_BYTES)
#define BYTES_MAX (UINT64_C(256) << 20) /* of buffers, in all */

void builder_put(struct builder *builder, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        builder->failed = true;
}

void builder_append(struct builder *builder, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        builder->failed = true;
}

json_t *builder_text(const char *from)
{
    char text[TEXT_ROOM];

    return json_string(inspect_text(text, sizeof(text), from));
}

json_t *builder_unsigned(uint64_t value)
{
    char text[24];

    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    return json_string(text);
}

/* ---- fields ---------------------------------------------------------------------------------------------------- */

static json_t *bytes_of(struct builder *builder, const uint8_t *data, uint64_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    json_t *value;
    char *text;

    if (bytes > builder->bytes_left)
        return json_null();
    builder->bytes_left -= bytes;
    text = malloc((size_t)bytes * 2 + 1);
    if (!text)
        return NULL;
    for (uint64_t i = 0; i < bytes; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * bytes] = '\0';
    value = json_string(text);
    free(text);
    return value;
}

static json_t *number_of(const struct field *field, uint64_t index)
{
    const uint8_t *data = field->data + index * field->bytes;
    uint64_t value;

    switch (field->kind) {
    case FIELD_BOOL:
        return json_boolean(data[0] != 0);
    case FIELD_SIGNED:
        return json_integer(field_signed(data, field->bytes));
    case FIELD_NULL:
        return json_null();
    default:
        value = field_unsigned(data, field->bytes);
        return field->kind == FIELD_TIMER && value == UINT64_MAX ? json_null() : builder_unsigned(value);
    }
}

static json_t *add_field(struct builder *builder, const struct field *field)
{
    json_t *object = json_object();

    builder_append(builder, builder->list[builder->depth], object);
    builder_put(builder, object, "name", builder_text(field->name));
    builder_put(builder, object, "type", builder_text(field->type));
    if (field->index >= 0)
        builder_put(builder, object, "index", json_integer(field->index));
    return object;
}

static void build_value(void *opaque, const struct field *field)
{
    struct builder *builder = opaque;
    json_t *object = add_field(builder, field), *values;

    builder_put(builder, object, "size", builder_unsigned(field->bytes));
    if (field->kind == FIELD_BYTES) {
        builder_put(builder, object, "value", bytes_of(builder, field->data, field->bytes));
        return;
    }
    if (!field->array) {
        builder_put(builder, object, "value", number_of(field, 0));
        return;
    }
    values = json_array();
    for (uint64_t i = 0; i < field->count; i++)
        builder_append(builder, values, number_of(field, i));
    builder_put(builder, object, "value", values);
}

static void build_open(void *opaque, const struct field *field)
{
    struct builder *builder = opaque;
    json_t *object = add_field(builder, field), *fields = json_array();

    builder_put(builder, object, "fields", fields);
    if (builder->depth < DESC_DEPTH_MAX)
        builder->list[++builder->depth] = fields;
    else
        builder->failed = true;
}

static void build_close(void *opaque)
{
    struct builder *builder = opaque;

    if (builder->depth > 0)
        builder->depth--;
}

static const struct field_visitor build_visitor = { build_open, build_value, build_close };

static json_t *section_of(struct builder *builder, const struct report_section *section)
{
    json_t *object = json_object(), *fields;

    builder_put(builder, object, "name", builder_text(section->name));
    builder_put(builder, object, "instance", json_integer(section->instance));
    builder_put(builder, object, "version", json_integer(section->version));
    builder_put(builder, object, "id", json_integer(section->id));
    builder_put(builder, object, "offset", builder_unsigned(section->offset));
    builder_put(builder, object, "size", builder_unsigned(section->bytes));
    builder_put(builder, object, "sized-by",
                json_string(section->sized == SIZED_BY_DESCRIPTION ? "description" : "footer"));
    if (section->sized != SIZED_BY_DESCRIPTION || !section->body)
        return object;
    fields = json_array();
    builder_put(builder, object, "fields", fields);
    builder->depth = 0;
    builder->list[0] = fields;
    if (fields &&
        !inspect_fields(section->device, section->body, section->bytes, &builder->budget, &build_visitor, builder))
        builder_put(builder, object, "fields-cut", json_true());
    return object;
}

/* ---- everything else ------------------------------------------------------------------------------------------- */

static json_t *configuration_of(struct builder *builder, const struct section_configuration *config)
{
    json_t *object = json_object(), *capabilities = json_array();
    char uuid[40];
    size_t used = 0;

    builder_put(builder, object, "machine", builder_text(config->machine));
    if (config->page_bits)
        builder_put(builder, object, "page-bits", json_integer(config->page_bits));
    for (unsigned i = 0; i < config->capabilities; i++)
        builder_append(builder, capabilities, builder_text(config->capability[i]));
    builder_put(builder, object, "capabilities", capabilities);
    for (unsigned i = 0; i < sizeof(config->uuid); i++)
        used += (size_t)snprintf(uuid + used, sizeof(uuid) - used,
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", config->uuid[i]);
    if (config->has_uuid)
        builder_put(builder, object, "uuid", json_string(uuid));
    return object;
}

static const char *type_of(const struct report_item *item)
{
    switch (item->type) {
    case ITEM_HEADER:
        return "header";
    case SECTION_CONFIGURATION:
        return "configuration";
    case SECTION_VMDESC:
        return "description";
    default:
        return section_type_name((enum section_type)item->type);
    }
}

static json_t *item_of(struct builder *builder, const struct inspect_report *report, const struct report_item *item)
{
    json_t *object = json_object();

    builder_put(builder, object, "type", json_string(type_of(item)));
    builder_put(builder, object, "offset", builder_unsigned(item->offset));
    builder_put(builder, object, "size", builder_unsigned(item->bytes));
    if (item->section >= 0) {
        const struct report_section *section = &report->sections.section[item->section];

        builder_put(builder, object, "id", json_integer(section->id));
        builder_put(builder, object, "name", builder_text(section->name));
        builder_put(builder, object, "instance", json_integer(section->instance));
        builder_put(builder, object, "version", json_integer(section->version));
    }
    if (item->type == SECTION_PART)
        builder_put(builder, object, "parts", json_integer(item->parts));
    if (item->normal || item->zero) {
        builder_put(builder, object, "normal", builder_unsigned(item->normal));
        builder_put(builder, object, "zero", builder_unsigned(item->zero));
    }
    if (item->type == SECTION_COMMAND)
        builder_put(builder, object, "command", json_string(section_command_name(item->command)));
    if (item->main > 0)
        builder_put(builder, object, "main", json_integer(item->main));
    if (item->packaged)
        builder_put(builder, object, "packaged", json_true());
    if (item->words)
        builder_put(builder, object, "payload", json_string(item->words));
    return object;
}

static json_t *memory_of(struct builder *builder, const struct inspect_ram *ram)
{
    json_t *object = json_object(), *blocks = json_array();

    builder_put(builder, object, "total", builder_unsigned(ram->total_bytes));
    builder_put(builder, object, "page-size", json_integer(FERRY_PAGE_BYTES));
    builder_put(builder, object, "normal", builder_unsigned(ram->loader.counts.normal + ram->normal));
    builder_put(builder, object, "duplicate", builder_unsigned(ram->loader.counts.zero + ram->zero));
    builder_put(builder, object, "xbzrle", builder_unsigned(ram->loader.counts.xbzrle));
    builder_put(builder, object, "passes", json_integer(ram->passes));
    builder_put(builder, object, "blocks", blocks);
    for (unsigned i = 0; i < ram->count; i++) {
        const struct inspect_ram_block *from = ram->blocks[i];
        json_t *block = json_object();

        builder_append(builder, blocks, block);
        builder_put(builder, block, "name", builder_text(from->block.info.name));
        builder_put(builder, block, "length", builder_unsigned(from->block.info.length));
        builder_put(builder, block, "normal", builder_unsigned(from->normal));
        builder_put(builder, block, "duplicate", builder_unsigned(from->zero));
        builder_put(builder, block, "missing", builder_unsigned(from->missing));
    }
    return object;
}

static json_t *connection_of(struct builder *builder, const struct report_connection *from)
{
    json_t *object = json_object(), *codecs = json_object();

    builder_put(builder, object, "source", builder_text(from->label));
    builder_put(builder, object, "channel", json_integer(from->channel));
    builder_put(builder, object, "bytes", builder_unsigned(from->bytes));
    builder_put(builder, object, "packets", builder_unsigned(from->packets));
    builder_put(builder, object, "syncs", builder_unsigned(from->syncs));
    builder_put(builder, object, "normal", builder_unsigned(from->normal));
    builder_put(builder, object, "duplicate", builder_unsigned(from->zero));
    builder_put(builder, object, "codecs", codecs);
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (from->pages[i] > 0)
            builder_put(builder, codecs, codec_name((enum codec_id)i), builder_unsigned(from->pages[i]));
    builder_put(builder, object, "device-bytes", builder_unsigned(from->device_bytes));
    return object;
}

static json_t *error_of(struct builder *builder, const struct inspect_report *report)
{
    json_t *object = json_object();

    builder_put(builder, object, "code", json_string(ferry_code_name(report->error.code)));
    builder_put(builder, object, "number", json_integer(report->error.code));
    builder_put(builder, object, "offset",
                builder_unsigned(report->error.offset >= 0 ? (uint64_t)report->error.offset : report->bytes));
    builder_put(builder, object, "text", builder_text(ferry_error_text(&report->error)));
    return object;
}

static void build(struct builder *builder, json_t *root, const struct inspect_report *report,
                  const struct inspect_ram *ram)
{
    json_t *items = json_array(), *devices = json_array(), *notes = json_array(), *connections = json_array();

    builder_put(builder, root, "status", json_string(report->error.errnum ? "failed" : "completed"));
    builder_put(builder, root, "source", builder_text(report->label ? report->label : "?"));
    builder_put(builder, root, "bytes", builder_unsigned(report->bytes));
    if (report->config)
        builder_put(builder, root, "configuration", configuration_of(builder, report->config));
    builder_put(builder, root, "items", items);
    for (unsigned i = 0; i < report->items.count; i++)
        builder_append(builder, items, item_of(builder, report, &report->items.item[i]));
    builder_put(builder, root, "connections", connections);
    for (unsigned i = 0; i < report->connection_count; i++)
        builder_append(builder, connections, connection_of(builder, &report->connections[i]));
    if (postcopy_listens(report->postcopy))
        builder_put(builder, root, "postcopy", inspect_json_postcopy(builder, report));
    if (report->returns.count > 0)
        builder_put(builder, root, "return-paths", inspect_json_returns(builder, report));
    builder_put(builder, root, "ram", memory_of(builder, ram));
    builder_put(builder, root, "devices", devices);
    for (unsigned i = 0; i < report->sections.count; i++)
        if (report->sections.section[i].sized != SIZED_ITSELF)
            builder_append(builder, devices, section_of(builder, &report->sections.section[i]));
    builder_put(builder, root, "notes", notes);
    for (unsigned i = 0; i < report->notes.count; i++)
        builder_append(builder, notes, builder_text(report->notes.text[i]));
    if (report->error.errnum)
        builder_put(builder, root, "error", error_of(builder, report));
}

int inspect_json(FILE *to, const struct inspect_report *report, const struct inspect_ram *ram)
{
    struct builder builder = { .budget = FIELDS_BUDGET, .bytes_left = BYTES_MAX };
    json_t *root = json_object();
    int ret = 0;

    if (!root)
        return -ENOMEM;
    build(&builder, root, report, ram);
    if (builder.failed)
        ret = -ENOMEM;
    else if (json_dumpf(root, to, JSON_INDENT(2)) < 0 || fputc('\n', to) == EOF)
        ret = -EIO;
    json_decref(root);
    return ret;
}
