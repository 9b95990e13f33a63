/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_json_parts.h - the object that inspect's JSON is built in, shared by the files that build it */
#ifndef TOOLS_INSPECT_JSON_PARTS_H
#define TOOLS_INSPECT_JSON_PARTS_H

#include "inspect_desc.h"
#include "inspect_report.h"

#include <jansson.h>
#include <stdbool.h>

/* jansson takes NULL for a value that could not be made and fails; what fails is noted and the rest goes on. */
struct builder {
    bool failed;
    unsigned budget;
    uint64_t bytes_left;
    int depth;
    json_t *list[DESC_DEPTH_MAX + 1]; /* borrowed: where fields of each depth go */
};

/* Both take @value. */
void builder_put(struct builder *builder, json_t *object, const char *key, json_t *value);
void builder_append(struct builder *builder, json_t *array, json_t *value);

/* Text of the stream, fit for JSON; a number, as text where it is larger than JSON's. */
json_t *builder_text(const char *from);
json_t *builder_unsigned(uint64_t value);

/* ---- inspect_json_postcopy.c ---- */

/* How the guest moved and how its memory followed; what came back.  The caller's. */
json_t *inspect_json_postcopy(struct builder *builder, const struct inspect_report *report);
json_t *inspect_json_returns(struct builder *builder, const struct inspect_report *report);

#endif
