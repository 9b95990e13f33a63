/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.h - the two visitors that know QEMU's bytes
 *
 * integers big-endian | bool 00 01 | NULL 30 | list { 01 element } 00 | tree be32 count { 01 key value } 00
 * bitmap be64 words | subsection 05 length name be32 version body
 */
#ifndef STATE_WIRE_H
#define STATE_WIRE_H

#include "visitor.h"

#define WIRE_NULL       0x30
#define WIRE_SUBSECTION 0x05

struct wire_save {
    struct ferry_visitor visitor;
    struct ferry_writer *writer;
};

struct wire_load {
    struct ferry_visitor visitor;
    struct ferry_reader *reader;
};

void wire_save_init(struct wire_save *save, struct ferry_writer *writer);
void wire_load_init(struct wire_load *load, struct ferry_reader *reader);

#endif
