/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_json.c - what was found, as one JSON object */
#include "inspect_json.h"

#include "inspect_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM (2 * FERRY_ERROR_TEXT_BYTES)
#define BYTES_MAX (UINT64_C(256) << 20) /* of buffers, in all */
#define DEPTH_MAX DESC_DEPTH_MAX

/* jansson takes NULL for a value that could not be made and fails; what fails is noted and the rest goes on. */
struct builder {
    bool failed;
    unsigned budget;
    uint64_t bytes_left;
    int depth;
    json_t *list[DEPTH_MAX + 1]; /* borrowed: where fields of each depth go */
};

static void put(struct builder *builder, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        builder->failed = true;
}

static void append(struct builder *builder, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        builder->failed = true;
}

static json_t *text_of(const char *from)
{
    char text[TEXT_ROOM];

    return json_string(inspect_text(text, sizeof(text), from));
}

static json_t *unsigned_of(uint64_t value)
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
        return field->kind == FIELD_TIMER && value == UINT64_MAX ? json_null() : unsigned_of(value);
    }
}

static json_t *add_field(struct builder *builder, const struct field *field)
{
    json_t *object = json_object();

    append(builder, builder->list[builder->depth], object);
    put(builder, object, "name", text_of(field->name));
    put(builder, object, "type", text_of(field->type));
    if (field->index >= 0)
        put(builder, object, "index", json_integer(field->index));
    return object;
}

static void build_value(void *opaque, const struct field *field)
{
    struct builder *builder = opaque;
    json_t *object = add_field(builder, field), *values;

    put(builder, object, "size", unsigned_of(field->bytes));
    if (field->kind == FIELD_BYTES) {
        put(builder, object, "value", bytes_of(builder, field->data, field->bytes));
        return;
    }
    if (!field->array) {
        put(builder, object, "value", number_of(field, 0));
        return;
    }
    values = json_array();
    for (uint64_t i = 0; i < field->count; i++)
        append(builder, values, number_of(field, i));
    put(builder, object, "value", values);
}

static void build_open(void *opaque, const struct field *field)
{
    struct builder *builder = opaque;
    json_t *object = add_field(builder, field), *fields = json_array();

    put(builder, object, "fields", fields);
    if (builder->depth < DEPTH_MAX)
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

    put(builder, object, "name", text_of(section->name));
    put(builder, object, "instance", json_integer(section->instance));
    put(builder, object, "version", json_integer(section->version));
    put(builder, object, "id", json_integer(section->id));
    put(builder, object, "offset", unsigned_of(section->offset));
    put(builder, object, "size", unsigned_of(section->bytes));
    put(builder, object, "sized-by", json_string(section->sized == SIZED_BY_DESCRIPTION ? "description" : "footer"));
    if (section->sized != SIZED_BY_DESCRIPTION || !section->body)
        return object;
    fields = json_array();
    put(builder, object, "fields", fields);
    builder->depth = 0;
    builder->list[0] = fields;
    if (fields &&
        !inspect_fields(section->device, section->body, section->bytes, &builder->budget, &build_visitor, builder))
        put(builder, object, "fields-cut", json_true());
    return object;
}

/* ---- everything else ------------------------------------------------------------------------------------------- */

static json_t *configuration_of(struct builder *builder, const struct section_configuration *config)
{
    json_t *object = json_object(), *capabilities = json_array();
    char uuid[40];
    size_t used = 0;

    put(builder, object, "machine", text_of(config->machine));
    if (config->page_bits)
        put(builder, object, "page-bits", json_integer(config->page_bits));
    for (unsigned i = 0; i < config->capabilities; i++)
        append(builder, capabilities, text_of(config->capability[i]));
    put(builder, object, "capabilities", capabilities);
    for (unsigned i = 0; i < sizeof(config->uuid); i++)
        used += (size_t)snprintf(uuid + used, sizeof(uuid) - used,
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", config->uuid[i]);
    if (config->has_uuid)
        put(builder, object, "uuid", json_string(uuid));
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

    put(builder, object, "type", json_string(type_of(item)));
    put(builder, object, "offset", unsigned_of(item->offset));
    put(builder, object, "size", unsigned_of(item->bytes));
    if (item->section >= 0) {
        const struct report_section *section = &report->sections.section[item->section];

        put(builder, object, "id", json_integer(section->id));
        put(builder, object, "name", text_of(section->name));
        put(builder, object, "instance", json_integer(section->instance));
        put(builder, object, "version", json_integer(section->version));
    }
    if (item->type == SECTION_PART)
        put(builder, object, "parts", json_integer(item->parts));
    if (item->normal || item->zero) {
        put(builder, object, "normal", unsigned_of(item->normal));
        put(builder, object, "zero", unsigned_of(item->zero));
    }
    if (item->type == SECTION_COMMAND)
        put(builder, object, "command", json_string(section_command_name(item->command)));
    if (item->words)
        put(builder, object, "payload", json_string(item->words));
    return object;
}

static json_t *memory_of(struct builder *builder, const struct inspect_ram *ram)
{
    json_t *object = json_object(), *blocks = json_array();

    put(builder, object, "total", unsigned_of(ram->total_bytes));
    put(builder, object, "page-size", json_integer(FERRY_PAGE_BYTES));
    put(builder, object, "normal", unsigned_of(ram->loader.counts.normal + ram->normal));
    put(builder, object, "duplicate", unsigned_of(ram->loader.counts.zero + ram->zero));
    put(builder, object, "xbzrle", unsigned_of(ram->loader.counts.xbzrle));
    put(builder, object, "passes", json_integer(ram->passes));
    put(builder, object, "blocks", blocks);
    for (unsigned i = 0; i < ram->count; i++) {
        const struct inspect_ram_block *from = ram->blocks[i];
        json_t *block = json_object();

        append(builder, blocks, block);
        put(builder, block, "name", text_of(from->block.info.name));
        put(builder, block, "length", unsigned_of(from->block.info.length));
        put(builder, block, "normal", unsigned_of(from->normal));
        put(builder, block, "duplicate", unsigned_of(from->zero));
        put(builder, block, "missing", unsigned_of(from->missing));
    }
    return object;
}

static json_t *connection_of(struct builder *builder, const struct report_connection *from)
{
    json_t *object = json_object(), *codecs = json_object();

    put(builder, object, "source", text_of(from->label));
    put(builder, object, "channel", json_integer(from->channel));
    put(builder, object, "bytes", unsigned_of(from->bytes));
    put(builder, object, "packets", unsigned_of(from->packets));
    put(builder, object, "syncs", unsigned_of(from->syncs));
    put(builder, object, "normal", unsigned_of(from->normal));
    put(builder, object, "duplicate", unsigned_of(from->zero));
    put(builder, object, "codecs", codecs);
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (from->pages[i] > 0)
            put(builder, codecs, codec_name((enum codec_id)i), unsigned_of(from->pages[i]));
    put(builder, object, "device-bytes", unsigned_of(from->device_bytes));
    return object;
}

static json_t *error_of(struct builder *builder, const struct inspect_report *report)
{
    json_t *object = json_object();

    put(builder, object, "code", json_string(ferry_code_name(report->error.code)));
    put(builder, object, "number", json_integer(report->error.code));
    put(builder, object, "offset", unsigned_of(report->bytes));
    put(builder, object, "text", text_of(ferry_error_text(&report->error)));
    return object;
}

static void build(struct builder *builder, json_t *root, const struct inspect_report *report,
                  const struct inspect_ram *ram)
{
    json_t *items = json_array(), *devices = json_array(), *notes = json_array(), *connections = json_array();

    put(builder, root, "status", json_string(report->error.errnum ? "failed" : "completed"));
    put(builder, root, "source", text_of(report->label ? report->label : "?"));
    put(builder, root, "bytes", unsigned_of(report->bytes));
    if (report->config)
        put(builder, root, "configuration", configuration_of(builder, report->config));
    put(builder, root, "items", items);
    for (unsigned i = 0; i < report->items.count; i++)
        append(builder, items, item_of(builder, report, &report->items.item[i]));
    put(builder, root, "connections", connections);
    for (unsigned i = 0; i < report->connection_count; i++)
        append(builder, connections, connection_of(builder, &report->connections[i]));
    put(builder, root, "ram", memory_of(builder, ram));
    put(builder, root, "devices", devices);
    for (unsigned i = 0; i < report->sections.count; i++)
        if (report->sections.section[i].sized != SIZED_ITSELF)
            append(builder, devices, section_of(builder, &report->sections.section[i]));
    put(builder, root, "notes", notes);
    for (unsigned i = 0; i < report->notes.count; i++)
        append(builder, notes, text_of(report->notes.text[i]));
    if (report->error.errnum)
        put(builder, root, "error", error_of(builder, report));
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
