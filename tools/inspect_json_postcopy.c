/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_json_postcopy.c - how the guest moved and how its memory followed, and what came back, as JSON */
#include "inspect_json_parts.h"
#include "inspect_postcopy.h"
#include "return_path.h"

static json_t *wire_of(struct builder *builder, const struct postcopy_wire *from)
{
    static const char *const kinds[] = { [WIRE_MAIN] = "main", [WIRE_URGENT] = "urgent", [WIRE_RESUMED] = "resumed" };
    json_t *object = json_object();

    builder_put(builder, object, "source", builder_text(from->label));
    builder_put(builder, object, "kind", json_string(kinds[from->kind]));
    builder_put(builder, object, "bytes", builder_unsigned(from->bytes));
    builder_put(builder, object, "normal", builder_unsigned(from->normal));
    builder_put(builder, object, "duplicate", builder_unsigned(from->zero));
    builder_put(builder, object, "broke", json_boolean(from->broke));
    if (from->bitmaps > 0) {
        builder_put(builder, object, "bitmaps", json_integer(from->bitmaps));
        builder_put(builder, object, "received", builder_unsigned(from->received));
        builder_put(builder, object, "lost", builder_unsigned(from->lost));
    }
    return object;
}

json_t *inspect_json_postcopy(struct builder *builder, const struct inspect_report *report)
{
    const struct inspect_postcopy *from = report->postcopy;
    json_t *object = json_object(), *package = json_object(), *wires = json_array();

    builder_put(builder, object, "page-sizes", builder_unsigned(from->page_sizes));
    builder_put(builder, object, "discard-ranges", builder_unsigned(from->ranges));
    builder_put(builder, object, "discarded", builder_unsigned(from->discarded));
    builder_put(builder, object, "package", package);
    builder_put(builder, package, "offset", builder_unsigned(from->package_offset));
    builder_put(builder, package, "size", builder_unsigned(from->package_bytes));
    builder_put(builder, package, "devices", json_integer(from->devices));
    builder_put(builder, object, "ended", json_boolean(from->phase == POSTCOPY_ENDED));
    builder_put(builder, object, "pages", builder_unsigned(from->pages));
    builder_put(builder, object, "asked", builder_unsigned(from->asked));
    builder_put(builder, object, "twice", builder_unsigned(from->duplicates));
    builder_put(builder, object, "unannounced", builder_unsigned(from->unannounced));
    builder_put(builder, object, "again", builder_unsigned(from->again));
    builder_put(builder, object, "awaited", builder_unsigned(from->awaited));
    builder_put(builder, object, "breaks", json_integer(from->breaks));
    builder_put(builder, object, "connections", wires);
    for (unsigned i = 0; i < from->wires; i++)
        builder_append(builder, wires, wire_of(builder, &from->wire[i]));
    return object;
}

/* ---- what came back -------------------------------------------------------------------------------------------- */

static json_t *answer_of(struct builder *builder, const struct inspect_report *report,
                         const struct return_message *from)
{
    json_t *object = json_object();

    builder_put(builder, object, "source", builder_text(report->postcopy->wire[from->wire].label));
    builder_put(builder, object, "offset", builder_unsigned(from->answered));
    builder_put(builder, object, "order", builder_unsigned(from->order));
    builder_put(builder, object, "pages", builder_unsigned(from->came));
    return object;
}

static json_t *message_of(struct builder *builder, const struct inspect_report *report,
                          const struct report_return *back, const struct return_message *from)
{
    json_t *object = json_object();

    builder_put(builder, object, "offset", builder_unsigned(from->offset));
    builder_put(builder, object, "type", json_string(return_path_type_name(from->type)));
    if (from->name >= 0)
        builder_put(builder, object, "block", builder_text(back->names[from->name]));
    switch (from->type) {
    case RETURN_PATH_REQ_PAGES_ID:
    case RETURN_PATH_REQ_PAGES:
        builder_put(builder, object, "start", builder_unsigned(from->start));
        builder_put(builder, object, "length", json_integer(from->length));
        if (from->order > 0)
            builder_put(builder, object, "answer", answer_of(builder, report, from));
        break;
    case RETURN_PATH_SHUT:
    case RETURN_PATH_PONG:
    case RETURN_PATH_RESUME_ACK:
        builder_put(builder, object, "value", json_integer(from->value));
        break;
    default:
        break;
    }
    return object;
}

json_t *inspect_json_returns(struct builder *builder, const struct inspect_report *report)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < report->returns.count; i++) {
        const struct report_return *from = report->returns.all[i];
        json_t *object = json_object(), *messages = json_array();

        builder_append(builder, array, object);
        builder_put(builder, object, "source", builder_text(from->label));
        builder_put(builder, object, "bytes", builder_unsigned(from->bytes));
        builder_put(builder, object, "messages", messages);
        for (unsigned j = 0; j < from->count; j++)
            builder_append(builder, messages, message_of(builder, report, from, &from->messages[j]));
    }
    return array;
}
