/* SPDX-License-Identifier: BSD-3-Clause */
/* size.h - the visitor that only counts what a save would put */
#ifndef STATE_SIZE_H
#define STATE_SIZE_H

#include "visitor.h"

struct size_visitor {
    struct ferry_visitor visitor;
    uint64_t bytes;
};

void size_visitor_init(struct size_visitor *size);

#endif
