/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_flags.c - what the flags of a manifest are called in JSON */
#include "schema_flags.h"

#include "manifest.h"

const struct schema_flag schema_field_flag_names[] = {
    { "equal", SCHEMA_FIELD_EQUAL },
    { "at-most", SCHEMA_FIELD_AT_MOST },
    { "conditional", SCHEMA_FIELD_CONDITIONAL },
    { "nullable", SCHEMA_FIELD_NULLABLE },
    { 0 },
};

const struct schema_flag schema_part_flag_names[] = {
    { "optional", SCHEMA_PART_OPTIONAL },
    { "in-use", SCHEMA_PART_IN_USE },
    { "opaque", SCHEMA_PART_OPAQUE },
    { 0 },
};

const struct schema_flag schema_device_flag_names[] = {
    { "optional", MANIFEST_DEVICE_OPTIONAL },
    { "in-use", MANIFEST_DEVICE_IN_USE },
    { "legacy", MANIFEST_DEVICE_LEGACY },
    { "iterative", MANIFEST_DEVICE_ITERATIVE },
    { 0 },
};
