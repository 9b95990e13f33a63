/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_kind.h - what a field holds and how it is counted, as numbers for the wire and names for people
 *
 * Both are frozen.  FERRY_KIND_END stands for what a peer says and we do not know.
 */
#ifndef STATE_SCHEMA_KIND_H
#define STATE_SCHEMA_KIND_H

#include <ferry/state.h>

uint8_t schema_kind_number(enum ferry_kind kind);
enum ferry_kind schema_kind_of_number(uint8_t number);
const char *schema_kind_name(enum ferry_kind kind);
enum ferry_kind schema_kind_of_name(const char *name);

/* Kinds that are the same on the wire, or nearly: any byte is a bool, an int32 is a uint32. */
bool schema_kind_alike(enum ferry_kind a, enum ferry_kind b);

uint8_t schema_count_number(enum ferry_count_kind kind);
const char *schema_count_name(enum ferry_count_kind kind);

/* false: unknown */
bool schema_count_of_number(uint8_t number, enum ferry_count_kind *kind);
bool schema_count_of_name(const char *name, enum ferry_count_kind *kind);

#endif
