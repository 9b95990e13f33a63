/* SPDX-License-Identifier: BSD-3-Clause */
/* values.h - a device's tree of values, as a converter gets it; the calls on it are in ferry/convert.h */
#ifndef STATE_VALUES_H
#define STATE_VALUES_H

#include <ferry/convert.h>
#include <jansson.h>

struct ferry_values {
    json_t *root; /* an object, tree.h says what is in it; borrowed */
};

#endif
