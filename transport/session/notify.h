/* SPDX-License-Identifier: BSD-3-Clause */
/* notify.h - who is told of the steps of a migration, and what is said at each */
#ifndef SESSION_NOTIFY_H
#define SESSION_NOTIFY_H

#include <ferry/notify.h>
#include <stdbool.h>

struct notifier {
    int (*notify)(void *opaque, const struct ferry_notice *notice, struct ferry_error *err);
    void *opaque; /* borrowed */
};

/* Zero is an empty one. */
struct notifier_list {
    struct notifier notifiers[FERRY_NOTIFIERS_MAX];
    unsigned count;
};

/* A step forward, as the table in ferry/notify.h has it.  The first who fails ends it: the others are not told. */
int notify_step(const struct notifier_list *list, enum ferry_side side, enum ferry_migration_state state,
                struct ferry_error *err);

/* At the source: the guest stands still and the migration pauses, before `device`. */
int notify_paused(const struct notifier_list *list, struct ferry_error *err);

/* It is over: completed, or back to where it began.  @guest_runs: at this side.  Nobody can object. */
void notify_end(const struct notifier_list *list, enum ferry_side side, bool completed, bool guest_runs);

#endif
