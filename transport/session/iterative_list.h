/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_list.h - the iterative devices of a guest, in the order in which they were added */
#ifndef SESSION_ITERATIVE_LIST_H
#define SESSION_ITERATIVE_LIST_H

#include <ferry/iterative.h>
#include <ferry/model.h>

struct iterative_device {
    char idstr[256];
    uint32_t instance_id;
    uint32_t version;
    const struct ferry_iterative_ops *ops; /* borrowed, with what follows */
    void *opaque;
    struct ferry_model *model; /* owned; NULL: its name says what it is */
};

/* Zero-initialise; clear in the end. */
struct iterative_list {
    struct iterative_device *devices[FERRY_ITERATIVE_MAX]; /* owned */
    unsigned count;
};

void iterative_list_clear(struct iterative_list *list);

/* NULL: there is none of that name and instance. */
struct iterative_device *iterative_list_find(const struct iterative_list *list, const char *idstr,
                                             uint32_t instance_id);

bool iterative_device_needed(const struct iterative_device *device);

#endif
