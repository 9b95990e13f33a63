/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_flags.h - what the flags of a manifest are called in JSON; each table ends with a row without a name */
#ifndef TOOLS_SCHEMA_FLAGS_H
#define TOOLS_SCHEMA_FLAGS_H

#include <stdint.h>

struct schema_flag {
    const char *name;
    uint32_t bit;
};

extern const struct schema_flag schema_field_flag_names[];
extern const struct schema_flag schema_part_flag_names[];
extern const struct schema_flag schema_device_flag_names[];

#endif
