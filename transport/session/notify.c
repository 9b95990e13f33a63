/* SPDX-License-Identifier: BSD-3-Clause */
/* notify.c - who is told of the steps of a migration, and what is said at each */
#include "notify.h"

#include "guest_parts.h"
#include "log.h"

#include <errno.h>

#define RUNS      FERRY_GUEST_RUNNING
#define STANDS    FERRY_GUEST_STOPPED
#define PRE_COPY  (FERRY_DEVICE_RUNNING | FERRY_DEVICE_SAVING)
#define STOP_COPY FERRY_DEVICE_SAVING

static const struct ferry_notice source_steps[] = {
    [FERRY_MIGRATION_NONE] = { RUNS, FERRY_MIGRATION_NONE, FERRY_DEVICE_RUNNING },
    [FERRY_MIGRATION_SETUP] = { RUNS, FERRY_MIGRATION_SETUP, FERRY_DEVICE_RUNNING },
    [FERRY_MIGRATION_ACTIVE] = { RUNS, FERRY_MIGRATION_ACTIVE, PRE_COPY },
    [FERRY_MIGRATION_PRE_SWITCHOVER] = { RUNS, FERRY_MIGRATION_PRE_SWITCHOVER, PRE_COPY },
    [FERRY_MIGRATION_DEVICE] = { STANDS, FERRY_MIGRATION_DEVICE, STOP_COPY },
    [FERRY_MIGRATION_COMPLETED] = { STANDS, FERRY_MIGRATION_COMPLETED, FERRY_DEVICE_STOPPED },
    [FERRY_MIGRATION_FAILED] = { RUNS, FERRY_MIGRATION_FAILED, FERRY_DEVICE_RUNNING },
};

static const struct ferry_notice destination_steps[] = {
    [FERRY_MIGRATION_NONE] = { STANDS, FERRY_MIGRATION_NONE, FERRY_DEVICE_STOPPED },
    [FERRY_MIGRATION_SETUP] = { STANDS, FERRY_MIGRATION_SETUP, FERRY_DEVICE_RESUMING },
    [FERRY_MIGRATION_ACTIVE] = { STANDS, FERRY_MIGRATION_ACTIVE, FERRY_DEVICE_RESUMING },
    [FERRY_MIGRATION_PRE_SWITCHOVER] = { STANDS, FERRY_MIGRATION_PRE_SWITCHOVER, FERRY_DEVICE_RESUMING },
    [FERRY_MIGRATION_DEVICE] = { STANDS, FERRY_MIGRATION_DEVICE, FERRY_DEVICE_STOPPED },
    [FERRY_MIGRATION_COMPLETED] = { RUNS, FERRY_MIGRATION_COMPLETED, FERRY_DEVICE_RUNNING },
    [FERRY_MIGRATION_FAILED] = { STANDS, FERRY_MIGRATION_FAILED, FERRY_DEVICE_STOPPED },
};

static const char *const names[] = {
    [FERRY_MIGRATION_NONE] = "none",     [FERRY_MIGRATION_SETUP] = "setup",
    [FERRY_MIGRATION_ACTIVE] = "active", [FERRY_MIGRATION_PRE_SWITCHOVER] = "pre-switchover",
    [FERRY_MIGRATION_DEVICE] = "device", [FERRY_MIGRATION_COMPLETED] = "completed",
    [FERRY_MIGRATION_FAILED] = "failed",
};

const char *ferry_migration_state_name(enum ferry_migration_state state)
{
    return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

int ferry_guest_add_notifier(struct ferry_guest *guest,
                             int (*notify)(void *opaque, const struct ferry_notice *notice, struct ferry_error *err),
                             void *opaque, struct ferry_error *err)
{
    struct notifier_list *list = &guest->notifiers;

    if (list->count == FERRY_NOTIFIERS_MAX)
        return ferry_error_set(err, -ENOSPC, "a guest can have at most %d notifiers", FERRY_NOTIFIERS_MAX);
    list->notifiers[list->count++] = (struct notifier){ .notify = notify, .opaque = opaque };
    return 0;
}

static const struct ferry_notice *notice_of(enum ferry_side side, enum ferry_migration_state state)
{
    return side == FERRY_SIDE_SOURCE ? &source_steps[state] : &destination_steps[state];
}

static int tell_until_objection(const struct notifier_list *list, const struct ferry_notice *notice,
                                struct ferry_error *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        int ret = list->notifiers[i].notify(list->notifiers[i].opaque, notice, err);

        if (ret < 0) {
            ferry_error_prefix(err, "at '%s'", ferry_migration_state_name(notice->migration));
            return ret;
        }
    }
    return 0;
}

int notify_step(const struct notifier_list *list, enum ferry_side side, enum ferry_migration_state state,
                struct ferry_error *err)
{
    return tell_until_objection(list, notice_of(side, state), err);
}

int notify_paused(const struct notifier_list *list, struct ferry_error *err)
{
    struct ferry_notice notice = source_steps[FERRY_MIGRATION_PRE_SWITCHOVER];

    notice.guest = STANDS;
    return tell_until_objection(list, &notice, err);
}

static void tell_all(const struct notifier_list *list, const struct ferry_notice *notice)
{
    for (unsigned i = 0; i < list->count; i++) {
        struct ferry_error why = { 0 };

        if (list->notifiers[i].notify(list->notifiers[i].opaque, notice, &why) < 0)
            log_warn(LOG_SESSION, "at '%s', too late to object: %s", ferry_migration_state_name(notice->migration),
                     ferry_error_text(&why));
    }
}

void notify_end(const struct notifier_list *list, enum ferry_side side, bool completed, bool guest_runs)
{
    struct ferry_notice notice = *notice_of(side, completed ? FERRY_MIGRATION_COMPLETED : FERRY_MIGRATION_FAILED);
    bool lost = side == FERRY_SIDE_SOURCE && !completed && !guest_runs;

    if (lost) {
        notice.guest = FERRY_GUEST_STOPPED;
        notice.device = FERRY_DEVICE_STOPPED;
    }
    tell_all(list, &notice);
    if (!completed && !lost)
        tell_all(list, notice_of(side, FERRY_MIGRATION_NONE));
}
