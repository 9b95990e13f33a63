/* SPDX-License-Identifier: BSD-3-Clause */
/* schema_kind.c - what a field holds and how it is counted, as numbers for the wire and names for people */
#include "schema_kind.h"

#include "fields.h"
#include <string.h>

static const struct kind_row {
    enum ferry_kind kind;
    uint8_t number;
    const char *name;
} kinds[] = {
    { FERRY_KIND_U8, 1, "uint8" },         { FERRY_KIND_U16, 2, "uint16" },     { FERRY_KIND_U32, 3, "uint32" },
    { FERRY_KIND_U64, 4, "uint64" },       { FERRY_KIND_I8, 5, "int8" },        { FERRY_KIND_I16, 6, "int16" },
    { FERRY_KIND_I32, 7, "int32" },        { FERRY_KIND_I64, 8, "int64" },      { FERRY_KIND_BOOL, 9, "bool" },
    { FERRY_KIND_FLOAT64, 10, "float64" }, { FERRY_KIND_TIMER, 11, "timer" },   { FERRY_KIND_BUFFER, 12, "buffer" },
    { FERRY_KIND_UNUSED, 13, "unused" },   { FERRY_KIND_BITMAP, 14, "bitmap" }, { FERRY_KIND_STRUCT, 15, "struct" },
    { FERRY_KIND_CUSTOM, 16, "custom" },   { FERRY_KIND_LIST, 17, "list" },     { FERRY_KIND_TREE, 18, "tree" },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const count_names[] = {
    [FERRY_COUNT_FIXED] = "fixed", [FERRY_COUNT_U8] = "uint8",  [FERRY_COUNT_U16] = "uint16",
    [FERRY_COUNT_U32] = "uint32",  [FERRY_COUNT_I32] = "int32",
};
static const uint8_t count_numbers[] = {
    [FERRY_COUNT_FIXED] = 0, [FERRY_COUNT_U8] = 1, [FERRY_COUNT_U16] = 2, [FERRY_COUNT_U32] = 3, [FERRY_COUNT_I32] = 4,
};

#define COUNTS (sizeof(count_names) / sizeof(count_names[0]))

uint8_t schema_kind_number(enum ferry_kind kind)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].number;
    return 0;
}

enum ferry_kind schema_kind_of_number(uint8_t number)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].number == number)
            return kinds[i].kind;
    return FERRY_KIND_END;
}

const char *schema_kind_name(enum ferry_kind kind)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "unknown";
}

enum ferry_kind schema_kind_of_name(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    return FERRY_KIND_END;
}

bool schema_kind_alike(enum ferry_kind a, enum ferry_kind b)
{
    if (a == b)
        return a != FERRY_KIND_END;
    return kind_is_scalar(a) && kind_is_scalar(b) && kind_bytes(a) == kind_bytes(b) && a != FERRY_KIND_FLOAT64 &&
           b != FERRY_KIND_FLOAT64;
}

uint8_t schema_count_number(enum ferry_count_kind kind)
{
    return count_numbers[kind];
}

const char *schema_count_name(enum ferry_count_kind kind)
{
    return count_names[kind];
}

bool schema_count_of_number(uint8_t number, enum ferry_count_kind *kind)
{
    for (size_t i = 0; i < COUNTS; i++) {
        if (count_numbers[i] == number) {
            *kind = (enum ferry_count_kind)i;
            return true;
        }
    }
    return false;
}

bool schema_count_of_name(const char *name, enum ferry_count_kind *kind)
{
    for (size_t i = 0; i < COUNTS; i++) {
        if (strcmp(count_names[i], name) == 0) {
            *kind = (enum ferry_count_kind)i;
            return true;
        }
    }
    return false;
}
