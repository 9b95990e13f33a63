#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# state_types_test.py - a field whose member has another type than the field says does not compile
import subprocess
import sys

include, compiler = sys.argv[1], sys.argv[2:]
SOURCE = """
#include <ferry/profile.h>
struct inner { uint8_t x; };
struct device {
    uint32_t u32; int32_t i32; bool on; double real; uint16_t array[4]; uint16_t grid[2][3]; uint64_t *words;
    char text[8]; uint8_t *bytes; struct inner in; struct inner ins[2]; struct inner *at; int64_t long_count;
};
struct tmp { uint32_t half; struct device *parent; };
extern const struct ferry_state_desc inner_desc;
const struct ferry_field fields[] = { %s, FERRY_END };
"""
RIGHT = [
    "FERRY_U32(u32, struct device)", "FERRY_BOOL(on, struct device)", "FERRY_FLOAT64(real, struct device)",
    "FERRY_ARRAY(array, struct device, 4, U16)", "FERRY_ARRAY_2D(grid, struct device, 2, 3, U16)",
    "FERRY_VARRAY(array, struct device, u32, U16)", "FERRY_BUFFER(text, struct device)",
    "FERRY_VBUFFER(bytes, struct device, i32, 8)", "FERRY_BITMAP(words, struct device, i32, 64)",
    "FERRY_STRUCT(in, struct device, inner_desc, struct inner)",
    "FERRY_STRUCT_ARRAY(ins, struct device, 2, inner_desc, struct inner)",
    "FERRY_STRUCT_POINTER(at, struct device, inner_desc, struct inner)",
    "FERRY_SUB_ARRAY(array, struct device, 1, 3, U16)", "FERRY_BUFFER_PART(text, struct device, 4, 4)",
]
WRONG = [
    "FERRY_U16(u32, struct device)", "FERRY_I32(u32, struct device)", "FERRY_U8(on, struct device)",
    "FERRY_U64(real, struct device)", "FERRY_ARRAY(array, struct device, 3, U16)",
    "FERRY_ARRAY(array, struct device, 4, I16)", "FERRY_ARRAY_2D(grid, struct device, 3, 2, U16)",
    "FERRY_VARRAY(array, struct device, long_count, U16)", "FERRY_VARRAY(words, struct device, u32, U64)",
    "FERRY_BUFFER(bytes, struct device)", "FERRY_BUFFER(array, struct device)",
    "FERRY_VBUFFER(text, struct device, i32, 8)", "FERRY_BITMAP(bytes, struct device, i32, 64)",
    "FERRY_STRUCT(at, struct device, inner_desc, struct inner)",
    "FERRY_STRUCT_ARRAY(ins, struct device, 3, inner_desc, struct inner)",
    "FERRY_SUB_ARRAY(array, struct device, 2, 3, U16)", "FERRY_BUFFER_PART(text, struct device, 5, 4)",
    "FERRY_TMP(struct device, inner_desc, struct tmp)",
]


def compiles(fields):
    command = compiler + ["-std=gnu11", "-I" + include, "-fsyntax-only", "-x", "c", "-"]
    return subprocess.run(command, input=SOURCE % fields, text=True, capture_output=True, check=False).returncode == 0


failed = [] if compiles(", ".join(RIGHT)) else ["what is right does not compile"]
failed += [f"{field}: compiles" for field in WRONG if compiles(field)]
print("\n".join(failed) or f"{len(WRONG)} wrong fields were refused")
sys.exit(bool(failed))
