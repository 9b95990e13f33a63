/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_print.h - what was found, in words */
#ifndef TOOLS_INSPECT_PRINT_H
#define TOOLS_INSPECT_PRINT_H

#include "inspect_ram.h"
#include "inspect_report.h"

#include <stdbool.h>
#include <stdio.h>

/* @verbose: buffers in full. */
void inspect_print(FILE *to, const struct inspect_report *report, const struct inspect_ram *ram, bool verbose);

/* ---- inspect_print_postcopy.c ---- */

/* How the guest moved and how its memory followed, where it did so. */
void inspect_print_postcopy(FILE *to, const struct inspect_report *report);

/* What came back, where that is known. */
void inspect_print_returns(FILE *to, const struct inspect_report *report, bool verbose);

#endif
