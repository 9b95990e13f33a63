/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_json.h - what was found, as one JSON object
 *
 * Integers are numbers; above 2^63 - 1 they are decimal texts.  Buffers are texts of hexadecimal digits, in full.
 */
#ifndef TOOLS_INSPECT_JSON_H
#define TOOLS_INSPECT_JSON_H

#include "inspect_ram.h"
#include "inspect_report.h"

#include <stdio.h>

/* Returns 0, -ENOMEM, or -EIO. */
int inspect_json(FILE *to, const struct inspect_report *report, const struct inspect_ram *ram);

#endif
