/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_json.h - a manifest as JSON, for people, scripts and version control, and back
 *
 *     {"ferry-schema": 1, "machine", "page-bytes", "blocks": [{"name", "length", "page-size", "private"}],
 *      "devices": [{"name", "instance", "alias", "model", "flags": ["optional", ...], "configuration": {},
 *        "forms": [[{"name", "where", "version", "described", "minimum", "flags",
 *          "fields": [{"path", "kind", "type", "count", "factor", "most", "version", "flags"}]}]]}]}
 *
 * What is left out is empty, 0 or 1; "count" is "fixed" where it is left out.
 */
#ifndef TOOLS_SCHEMA_JSON_H
#define TOOLS_SCHEMA_JSON_H

#include "manifest.h"
#include <jansson.h>

/* A new reference; NULL when out of memory. */
json_t *schema_to_json(const struct manifest *manifest);

/* NULL with @err set: it is no schema, or not a whole one. */
struct manifest *schema_from_json(const json_t *root, struct ferry_error *err);

#endif
