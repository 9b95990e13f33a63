/* SPDX-License-Identifier: BSD-3-Clause */
/* report_postcopy.h - the part of the report about a guest that went before its memory */
#ifndef TOOLS_REPORT_POSTCOPY_H
#define TOOLS_REPORT_POSTCOPY_H

#include <ferry/session.h>
#include <jansson.h>
#include <stdio.h>

/* @object, with what is known added: ours as "postcopy", and QEMU's names beside it; unchanged where there was none. */
json_t *report_postcopy_add(json_t *object, bool is_source, const struct ferry_stats *stats,
                            const struct ferry_postcopy_thread *threads, unsigned count);

/* How long the guest's own touches took, by its clock; at the destination, where it went before its memory. */
void report_postcopy_add_touches(json_t *object, const struct ferry_latency *touches);

/* In words; both may be NULL. */
void report_postcopy_print(FILE *to, const json_t *source, const json_t *destination);

#endif
