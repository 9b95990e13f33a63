/* SPDX-License-Identifier: BSD-3-Clause */
/* json.h - the self-description of a stream (vmdesc): what is in it, for those who do not know the devices
 *
 *     {"configuration": ..., "page_size": 4096, "devices": [
 *         {"name": "cpu", "instance_id": 0, "vmsd_name": "cpu", "version": 12, "fields": [
 *             {"name": "regs", "array_len": 16, "type": "uint64", "size": 8}, ...], "subsections": [...]}, ...]}
 *
 * A field's size is that of one element.  The bytes of a body are the sum over its fields of size x array_len, and over
 * its subsections of 6 + length of the name + the same sum.  Where elements may differ, each has an entry with its
 * "index".
 */
#ifndef STATE_JSON_H
#define STATE_JSON_H

#include "fields.h"
#include "visitor.h"
#include <ferry/stream.h>
#include <jansson.h>

#define JSON_FRAMES (4 * FIELDS_DEPTH + 4)

struct json_frame {
    json_t *object;                  /* borrowed: the description's root holds it */
    const struct visit_field *field; /* of an element; NULL: a struct */
    uint64_t start;
};

/* Stands before a wire visitor: passes everything on, and notes how many bytes it made. */
struct json_visitor {
    struct ferry_visitor visitor;
    struct ferry_visitor *inner; /* borrowed */
    struct ferry_writer *writer; /* where inner writes; borrowed */
    json_t *root;                /* borrowed */
    unsigned muted;              /* how deep we are in what was described before */
    unsigned frames;
    struct json_frame frame[JSON_FRAMES];
};

void json_visitor_init(struct json_visitor *json, struct ferry_visitor *inner, struct ferry_writer *writer,
                       json_t *root);

/* The beginning of a device's object: {"name", "instance_id"}; a new reference. */
json_t *vmdesc_device(const char *idstr, uint32_t instance_id, struct ferry_error *err);

/* The rest of it, for a device without a description: its bytes are one buffer. */
int vmdesc_legacy(json_t *device, uint64_t bytes, struct ferry_error *err);

/* What the configuration section of @machine holds; a new reference. */
json_t *vmdesc_configuration(const char *machine, struct ferry_error *err);

/**
 * vmdesc_document() - the whole, as text on one line
 * @configuration: NULL: none, as QEMU 7.2 has it; borrowed
 * @devices: an array; borrowed
 *
 * Returns @*bytes of text, not NUL-terminated; the caller's, to be freed.
 */
char *vmdesc_document(uint32_t page_size, json_t *configuration, json_t *devices, size_t *bytes,
                      struct ferry_error *err);

#endif
