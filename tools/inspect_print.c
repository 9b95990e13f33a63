/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_print.c - what was found, in words
 *
 * Names come from the stream and pass inspect_text(), so that they cannot speak to the terminal.
 */
#include "inspect_print.h"

#include "inspect_fields.h"
#include "units.h"

#include <inttypes.h>
#include <string.h>

#define NAME_ROOM   300
#define SHORT_BYTES 32 /* of a buffer, when not verbose */
#define SHORT_ARRAY 16 /* values of an array, likewise */
#define LINE_BYTES  32

struct printer {
    FILE *to;
    bool verbose;
    int depth;
};

/* ---- fields ---------------------------------------------------------------------------------------------------- */

static void print_hex(const struct printer *printer, const uint8_t *data, uint64_t bytes)
{
    uint64_t shown = printer->verbose || bytes <= SHORT_BYTES ? bytes : SHORT_BYTES;

    for (uint64_t i = 0; i < shown; i++) {
        if (shown > LINE_BYTES && i % LINE_BYTES == 0)
            fprintf(printer->to, "\n%*s%06" PRIx64 "  ", printer->depth * 4 + 4, "", i);
        fprintf(printer->to, "%02x", data[i]);
    }
    if (shown < bytes)
        fprintf(printer->to, "...");
}

/* The text in a buffer that holds one and then only NULs; NULL where it does not. */
static const char *text_in(const uint8_t *data, uint64_t bytes)
{
    size_t length = strnlen((const char *)data, (size_t)bytes);

    if (length < 2 || length == bytes)
        return NULL;
    for (uint64_t i = 0; i < bytes; i++)
        if (i < length ? data[i] < 0x20 || data[i] > 0x7e : data[i] != 0)
            return NULL;
    return (const char *)data;
}

static void print_bytes(const struct printer *printer, const struct field *field)
{
    const char *text = text_in(field->data, field->bytes);
    uint64_t zeros = 0;

    while (zeros < field->bytes && field->data[zeros] == 0)
        zeros++;
    fprintf(printer->to, " %" PRIu64 " bytes", field->bytes);
    if (field->bytes == 0)
        return;
    if (zeros == field->bytes && field->bytes > 8 && !printer->verbose) {
        fprintf(printer->to, ", all zero");
        return;
    }
    if (text)
        fprintf(printer->to, " \"%s\"", text);
    fputc(' ', printer->to);
    print_hex(printer, field->data, field->bytes);
}

static void print_number(FILE *to, const struct field *field, uint64_t index)
{
    const uint8_t *data = field->data + index * field->bytes;
    uint64_t value;
    char text[64];

    switch (field->kind) {
    case FIELD_BOOL:
        fprintf(to, " %s", data[0] ? "true" : "false");
        return;
    case FIELD_SIGNED:
        fprintf(to, " %" PRId64, field_signed(data, field->bytes));
        return;
    case FIELD_NULL:
        fprintf(to, " none");
        return;
    case FIELD_TIMER:
        value = field_unsigned(data, field->bytes);
        if (value == UINT64_MAX)
            fprintf(to, " not armed");
        else
            fprintf(to, " %" PRIu64 " ns (%s)", value, units_format_time(text, sizeof(text), value));
        return;
    default:
        value = field_unsigned(data, field->bytes);
        fprintf(to, value < 10 ? " %" PRIu64 : " %" PRIu64 " (0x%" PRIx64 ")", value, value);
    }
}

static void print_name(const struct printer *printer, const struct field *field)
{
    char name[NAME_ROOM], type[NAME_ROOM];

    fprintf(printer->to, "%*s%s", printer->depth * 4, "", inspect_text(name, sizeof(name), field->name));
    if (field->index >= 0)
        fprintf(printer->to, "[%" PRId64 "]", field->index);
    if (field->array)
        fprintf(printer->to, "[%" PRIu64 "]", field->count);
    fprintf(printer->to, "  %s", inspect_text(type, sizeof(type), field->type));
}

static void print_open(void *opaque, const struct field *field)
{
    struct printer *printer = opaque;

    print_name(printer, field);
    fputc('\n', printer->to);
    printer->depth++;
}

static void print_close(void *opaque)
{
    struct printer *printer = opaque;

    printer->depth--;
}

static void print_value(void *opaque, const struct field *field)
{
    struct printer *printer = opaque;
    uint64_t shown = printer->verbose || field->count <= SHORT_ARRAY ? field->count : SHORT_ARRAY;

    print_name(printer, field);
    if (field->kind == FIELD_BYTES)
        print_bytes(printer, field);
    for (uint64_t i = 0; field->kind != FIELD_BYTES && i < shown; i++) {
        if (field->count > 1 && i % 4 == 0 && field->count > 4)
            fprintf(printer->to, "\n%*s[%" PRIu64 "]", printer->depth * 4 + 4, "", i);
        else if (i > 0)
            fputc(',', printer->to);
        print_number(printer->to, field, i);
    }
    if (shown < field->count)
        fprintf(printer->to, " ...");
    fputc('\n', printer->to);
}

static const struct field_visitor print_visitor = { print_open, print_value, print_close };

static void print_section(struct printer *printer, const struct report_section *section, unsigned *budget)
{
    char name[NAME_ROOM];

    fprintf(printer->to, "\n%s", inspect_text(name, sizeof(name), section->name));
    if (section->instance)
        fprintf(printer->to, " #%" PRIu32, section->instance);
    fprintf(printer->to, "  version %" PRIu32 ", %" PRIu64 " bytes at %" PRIu64 "%s\n", section->version,
            section->bytes, section->offset, section->sized == SIZED_BY_FOOTER ? ", sized by its footer" : "");
    printer->depth = 1;
    if (section->sized == SIZED_BY_DESCRIPTION && section->body &&
        !inspect_fields(section->device, section->body, section->bytes, budget, &print_visitor, printer))
        fprintf(printer->to, "    ... more fields than are shown\n");
}

/* ---- everything else ------------------------------------------------------------------------------------------- */

static void print_head(FILE *to, const struct inspect_report *report)
{
    const struct section_configuration *config = report->config;
    char label[FERRY_ERROR_TEXT_BYTES], name[NAME_ROOM];

    fprintf(to, "%s: %s, %" PRIu64 " bytes understood\n",
            inspect_text(label, sizeof(label), report->label ? report->label : "?"),
            report->error.errnum ? "stopped" : "whole", report->bytes);
    if (!config)
        return;
    fprintf(to, "machine %s", inspect_text(name, sizeof(name), config->machine));
    if (config->page_bits)
        fprintf(to, ", page bits %" PRIu32, config->page_bits);
    for (unsigned i = 0; i < config->capabilities; i++)
        fprintf(to, "%s%s", i ? ", " : ", capabilities ", inspect_text(name, sizeof(name), config->capability[i]));
    if (config->has_uuid)
        fprintf(to, ", uuid ");
    for (unsigned i = 0; config->has_uuid && i < sizeof(config->uuid); i++)
        fprintf(to, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", config->uuid[i]);
    fputc('\n', to);
}

static void print_item(FILE *to, const struct inspect_report *report, const struct report_item *item)
{
    const struct report_section *section = NULL;
    char name[NAME_ROOM];

    if (item->section >= 0)
        section = &report->sections.section[item->section];
    fprintf(to, "%14" PRIu64 " %14" PRIu64 "  %s", item->offset, item->bytes, item->packaged ? "    " : "");
    switch (item->type) {
    case ITEM_HEADER:
        fprintf(to, "header\n");
        return;
    case SECTION_CONFIGURATION:
        fprintf(to, "configuration\n");
        return;
    case SECTION_VMDESC:
        fprintf(to, "description\n");
        return;
    case SECTION_COMMAND:
        fprintf(to, "command %s%s%s\n", section_command_name(item->command), item->words ? ": " : "",
                item->words ? item->words : "");
        return;
    default:
        fprintf(to, "%s", section_type_name((enum section_type)item->type));
    }
    if (section) {
        fprintf(to, " %s", inspect_text(name, sizeof(name), section->name));
        if (section->instance)
            fprintf(to, " #%" PRIu32, section->instance);
        fprintf(to, ", id %" PRIu32, section->id);
        if (item->type == SECTION_START || item->type == SECTION_FULL)
            fprintf(to, ", version %" PRIu32, section->version);
    }
    if (item->parts > 1)
        fprintf(to, ", %" PRIu32 " parts", item->parts);
    if (item->normal || item->zero)
        fprintf(to, ", pages: %" PRIu64 " with content, %" PRIu64 " zero", item->normal, item->zero);
    fputc('\n', to);
}

static void print_memory(FILE *to, const struct inspect_ram *ram)
{
    const struct ram_counts *counts = &ram->loader.counts;
    char name[NAME_ROOM], size[64];

    fprintf(to, "\nmemory: %u block%s, %s, %" PRIu64 " pages with content and %" PRIu64 " zero", ram->count,
            ram->count == 1 ? "" : "s", units_format_size(size, sizeof(size), ram->total_bytes),
            counts->normal + ram->normal, counts->zero + ram->zero);
    if (ram->passes > 0)
        fprintf(to, ", %u pass%s", ram->passes, ram->passes == 1 ? "" : "es");
    fputc('\n', to);
    if (counts->xbzrle > 0)
        fprintf(to, "    %" PRIu64 " more pages came as differences (xbzrle)\n", counts->xbzrle);
    for (unsigned i = 0; i < ram->count; i++) {
        const struct inspect_ram_block *block = ram->blocks[i];

        fprintf(to, "    %-28s %12s  %10" PRIu64 " with content %10" PRIu64 " zero",
                inspect_text(name, sizeof(name), block->block.info.name),
                units_format_size(size, sizeof(size), block->block.info.length), block->normal, block->zero);
        if (block->missing)
            fprintf(to, " %10" PRIu64 " never came", block->missing);
        fputc('\n', to);
    }
}

/* What the normal pages came through: "zlib", mostly one. */
static void print_codecs(FILE *to, const struct report_connection *connection)
{
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (connection->pages[i] > 0)
            fprintf(to, "%s%s", connection->pages[i] == connection->normal ? ", " : ", some ",
                    codec_name((enum codec_id)i));
}

static void print_connections(FILE *to, const struct inspect_report *report)
{
    char label[FERRY_ERROR_TEXT_BYTES];

    for (unsigned i = 0; i < report->connection_count; i++) {
        const struct report_connection *connection = &report->connections[i];

        fprintf(to, "%s%s: page channel %d, %" PRIu64 " bytes, %" PRIu64 " packets, %" PRIu64 " SYNCs\n", i ? "" : "\n",
                inspect_text(label, sizeof(label), connection->label), connection->channel, connection->bytes,
                connection->packets, connection->syncs);
        fprintf(to, "    pages: %" PRIu64 " with content", connection->normal);
        print_codecs(to, connection);
        fprintf(to, "; %" PRIu64 " zero\n", connection->zero);
        if (connection->device_bytes > 0)
            fprintf(to, "    %" PRIu64 " bytes of device state\n", connection->device_bytes);
    }
}

void inspect_print(FILE *to, const struct inspect_report *report, const struct inspect_ram *ram, bool verbose)
{
    struct printer printer = { .to = to, .verbose = verbose };
    char text[2 * FERRY_ERROR_TEXT_BYTES];
    unsigned budget = FIELDS_BUDGET;

    print_head(to, report);
    if (report->items.count > 0)
        fprintf(to, "\n%14s %14s\n", "offset", "bytes");
    for (unsigned i = 0; i < report->items.count; i++) {
        const struct report_item *item = &report->items.item[i];

        if (i > 0 && item->main != item[-1].main)
            fprintf(to, "\nthe connection broke; main connection %u takes over\n", item->main + 1);
        print_item(to, report, item);
    }
    print_connections(to, report);
    inspect_print_postcopy(to, report);
    inspect_print_returns(to, report, verbose);
    if (ram->count > 0)
        print_memory(to, ram);
    for (unsigned i = 0; i < report->sections.count; i++)
        if (report->sections.section[i].sized != SIZED_ITSELF)
            print_section(&printer, &report->sections.section[i], &budget);
    if (report->notes.count > 0)
        fputc('\n', to);
    for (unsigned i = 0; i < report->notes.count; i++)
        fprintf(to, "note: %s\n", report->notes.text[i]);
    if (report->notes.lost > 0)
        fprintf(to, "note: %u more notes\n", report->notes.lost);
    if (report->error.errnum)
        fprintf(to, "\nstopped: %s\n", inspect_text(text, sizeof(text), ferry_error_text(&report->error)));
}
