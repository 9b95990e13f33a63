/* SPDX-License-Identifier: BSD-3-Clause */
/* vmdesc.c - the self-description's outer parts: the document, the configuration, devices without a description */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The same object, or NULL with @object given up. */
static json_t *vmdesc_made(json_t *object, int status, struct ferry_error *err)
{
    if (object && status == 0)
        return object;
    json_decref(object);
    ferry_error_set(err, -ENOMEM, "out of memory for the stream's description");
    return NULL;
}

static json_t *vmdesc_field(const char *name, uint64_t bytes, const char *type)
{
    return json_pack("{s:s, s:s, s:I}", "name", name, "type", type, "size", (json_int_t)bytes);
}

json_t *vmdesc_device(const char *idstr, uint32_t instance_id, struct ferry_error *err)
{
    return vmdesc_made(json_pack("{s:s, s:I}", "name", idstr, "instance_id", (json_int_t)instance_id), 0, err);
}

int vmdesc_legacy(json_t *device, uint64_t bytes, struct ferry_error *err)
{
    json_t *field = json_pack("{s:s, s:I, s:s}", "name", "data", "size", (json_int_t)bytes, "type", "buffer");
    json_t *fields = json_pack("[o]", field);

    if (json_object_set_new(device, "size", json_integer((json_int_t)bytes)) < 0) {
        json_decref(fields);
        return ferry_error_set(err, -ENOMEM, "out of memory for the stream's description");
    }
    if (json_object_set_new(device, "fields", fields) < 0)
        return ferry_error_set(err, -ENOMEM, "out of memory for the stream's description");
    return 0;
}

json_t *vmdesc_configuration(const char *machine, struct ferry_error *err)
{
    json_t *object = json_pack("{s:s, s:i, s:[]}", "vmsd_name", "configuration", "version", 1, "fields");
    json_t *fields = json_object_get(object, "fields");
    int status = json_array_append_new(fields, vmdesc_field("len", 4, "uint32"));

    if (status == 0)
        status = json_array_append_new(fields, vmdesc_field("name", strlen(machine), "buffer"));
    return vmdesc_made(object, status, err);
}

char *vmdesc_document(uint32_t page_size, json_t *configuration, json_t *devices, size_t *bytes,
                      struct ferry_error *err)
{
    json_t *document = json_object();
    char *text = NULL;
    int status = configuration ? json_object_set(document, "configuration", configuration) : 0;

    if (status == 0)
        status = json_object_set_new(document, "page_size", json_integer(page_size));
    if (status == 0)
        status = json_object_set(document, "devices", devices);
    document = vmdesc_made(document, status, err);
    if (!document)
        return NULL;
    /* Dumped twice, so that the text is from malloc, whatever allocator the JSON library was given. */
    *bytes = json_dumpb(document, NULL, 0, 0);
    text = *bytes ? malloc(*bytes) : NULL;
    if (text && json_dumpb(document, text, *bytes, 0) != *bytes) {
        free(text);
        text = NULL;
    }
    if (!text)
        ferry_error_set(err, -ENOMEM, "out of memory for the stream's description");
    json_decref(document);
    return text;
}
