/* SPDX-License-Identifier: BSD-3-Clause */
/* notify.h - tell devices and the embedder where a migration stands
 *
 * Each notice is a triple: what the guest does, what the migration does, what a device has to do.
 *
 *      source      guest     migration        device            destination  guest     migration        device
 *                  running   none             running                        stopped   none             stopped
 *                  running   setup            running                        stopped   setup            resuming
 *                  running   active           running+saving                 stopped   active           resuming
 *                  running   pre-switchover   running+saving
 *                 (stopped   pre-switchover   running+saving)
 *                  stopped   device           saving                         stopped   device           stopped
 *                  stopped   completed        stopped                        running   completed        running
 *      a failure   running   failed           running                        stopped   failed           stopped
 *      or cancel   running   none             running                        stopped   none             stopped
 *
 * The first notice comes when the destination has agreed to take the guest (where it is asked).
 * setup comes before any device's save.setup or load.setup; pre-switchover when the decision to switch was taken, and
 * with option pause-before-switchover again when the guest was stopped and waits: devices may still write its memory;
 * device, at the source, when the guest was stopped and before the last dirty pages are asked for, so that what a
 * device writes to guest memory until then is not lost; at the destination when everything is loaded, before the
 * self-checks. completed and failed come last, after the guest was started (again).  A source that cannot know who runs
 * the guest fails with the guest and the device stopped, and nothing follows.
 */
#ifndef FERRY_NOTIFY_H
#define FERRY_NOTIFY_H

#include <ferry/api.h>
#include <ferry/error.h>

FERRY_BEGIN_DECLS

struct ferry_guest;

enum ferry_guest_state {
    FERRY_GUEST_STOPPED,
    FERRY_GUEST_RUNNING,
};

enum ferry_migration_state {
    FERRY_MIGRATION_NONE,
    FERRY_MIGRATION_SETUP,
    FERRY_MIGRATION_ACTIVE,
    FERRY_MIGRATION_PRE_SWITCHOVER,
    FERRY_MIGRATION_DEVICE,
    FERRY_MIGRATION_COMPLETED,
    FERRY_MIGRATION_FAILED, /* or cancelled */
};

/* Bits, as a VFIO device has them. */
enum ferry_device_state {
    FERRY_DEVICE_STOPPED = 0,
    FERRY_DEVICE_RUNNING = 1 << 0,
    FERRY_DEVICE_SAVING = 1 << 1, /* with RUNNING: before the copy; alone: nothing changes any more */
    FERRY_DEVICE_RESUMING = 1 << 2,
};

struct ferry_notice {
    enum ferry_guest_state guest;
    enum ferry_migration_state migration;
    unsigned device; /* enum ferry_device_state */
};

/* How many notifiers a guest can have. */
#define FERRY_NOTIFIERS_MAX 64

/**
 * ferry_guest_add_notifier() - be told of every step
 * @notify: returns 0, or a negative errno with the sentence in @err: up to and with `device` that ends the
 *        migration, later it is only logged.  Everybody is told of the failure, those included that were not told of
 *        the step itself.
 *
 * Called in the order of adding, on the session's thread.  Returns 0 or -ENOSPC.
 */
FERRY_API int ferry_guest_add_notifier(struct ferry_guest *guest,
                                       int (*notify)(void *opaque, const struct ferry_notice *notice,
                                                     struct ferry_error *err),
                                       void *opaque, struct ferry_error *err) FERRY_CHECK;

/* "none", "setup", "active", "pre-switchover", "device", "completed", "failed" */
FERRY_API const char *ferry_migration_state_name(enum ferry_migration_state state);

FERRY_END_DECLS

#endif
