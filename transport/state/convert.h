/* SPDX-License-Identifier: BSD-3-Clause */
/* convert.h - a device's body in another version of the device, by a converter of the embedder's
 *
 *     load   wire -> the other's struct -> its values -> from_other -> our values -> staged copy -> device
 *     save   device -> our values -> to_other -> the other's values -> its struct -> wire
 */
#ifndef STATE_CONVERT_H
#define STATE_CONVERT_H

#include "state.h"
#include <ferry/convert.h>

#define CONVERTERS_MAX 256

/* Zero-initialise; the converters are borrowed. */
struct convert_list {
    const struct ferry_converter **rows; /* owned */
    unsigned count;
};

void convert_list_clear(struct convert_list *list);

/* -EINVAL: it cannot work; -EEXIST: there is one for such a version of that description. */
int convert_list_add(struct convert_list *list, const struct ferry_converter *converter, struct ferry_error *err);

/* The converter that can load @version of the description @name, and the one that can save it; or NULL. */
const struct ferry_converter *convert_find_load(const struct convert_list *list, const char *name, uint32_t version);
const struct ferry_converter *convert_find_save(const struct convert_list *list, const char *name, uint32_t version);

/* Like state_parse(), state_save() and state_size(), of a body of the other version. */
struct state_staged *convert_parse(const struct ferry_converter *converter, const struct ferry_state_desc *desc,
                                   void *opaque, uint32_t version, struct ferry_reader *reader,
                                   struct ferry_error *err);
int convert_save(struct ferry_writer *writer, const struct ferry_converter *converter,
                 const struct ferry_state_desc *desc, void *opaque, json_t *vmdesc, struct ferry_error *err);
int64_t convert_size(const struct ferry_converter *converter, const struct ferry_state_desc *desc, void *opaque,
                     struct ferry_error *err);

#endif
