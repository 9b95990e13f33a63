/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_parts.h - what is inside a ferry_guest, for the sessions */
#ifndef SESSION_GUEST_PARTS_H
#define SESSION_GUEST_PARTS_H

#include "blockers.h"
#include "device.h"
#include "iterative_list.h"
#include "notify.h"
#include "ram_map.h"
#include "rules.h"
#include "tracker.h"

#include <ferry/guest.h>

#define GUEST_TRACKERS_MAX 8

struct guest_trackers {
    struct tracker tracker[GUEST_TRACKERS_MAX];
    unsigned count;
};

struct ferry_guest {
    char machine[256];
    const struct ferry_guest_ops *ops;
    void *opaque;
    struct ram_map ram;
    struct device_list *devices;
    const struct ferry_profile *profile;   /* borrowed; NULL: newest */
    struct guest_trackers trackers;        /* of all writes; none: ours */
    struct guest_trackers device_trackers; /* besides, of what devices write */
    struct iterative_list iterative;
    struct rule_list rules;
    struct notifier_list notifiers;
    struct blockers blockers;
    int userfault_fd; /* owned; -1: none was given */
};

int guest_stop(struct ferry_guest *guest, struct ferry_error *err);
int guest_start(struct ferry_guest *guest, struct ferry_error *err);

/* The block that a stream announces: the guest's own, or one that the embedder provides now. */
int guest_announced_block(struct ferry_guest *guest, const char *name, uint64_t length, struct ram_block **block,
                          struct ferry_error *err);

#endif
