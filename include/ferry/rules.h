/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.h - what one device wants: not to be moved now, to be checked before it runs, to survive a bad state
 *
 *      source        may_switch     before the guest is stopped: "not yet" for a while
 *      destination   bad_state      its state was refused: fail the migration, or go on without (all of) the device
 *                    self_check     everything is loaded, the guest not yet started: does it work?
 *
 * All functions are called on the session's thread.
 */
#ifndef FERRY_RULES_H
#define FERRY_RULES_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

struct ferry_guest;

enum ferry_bad_state {
    FERRY_BAD_STATE_FAIL,    /* the migration fails, the guest stays at the source */
    FERRY_BAD_STATE_DEGRADE, /* the device goes into its own error state; the guest can reset it */
    FERRY_BAD_STATE_DISABLE, /* the guest goes on without the device */
};

/* "fail", "degrade", "disable" */
FERRY_API const char *ferry_bad_state_name(enum ferry_bad_state bad_state);

/**
 * struct ferry_device_rules - every function may be NULL, but for the one that @bad_state calls
 *
 * @bad_state: what a state that is read to its end but refused leads to: a value out of bounds, another model, a
 *        post_load that fails.  A stream that is itself broken fails always, and so does a state whose end cannot be
 *        found because the device was refused in the middle of it.
 * @degrade, @disable: @bad_state says so, and @why the reason.  They cannot fail.  Called once; later sections of the
 *        same device are still read, and their failures passed over.
 * @may_switch: 0, or -EAGAIN with a sentence for "not yet": memory and devices go on being sent, and it is asked again
 *        some milliseconds later, for as long as the option not-yet-limit allows; not-yet-policy says what then.  Any
 *        other error ends the migration.  The guest runs.
 * @self_check: 0, or why the device would not work: the migration is refused, and the guest stays at the source.  Not
 *        asked of a device that was degraded or disabled.
 */
struct ferry_device_rules {
    enum ferry_bad_state bad_state;
    void (*degrade)(void *opaque, const struct ferry_error *why);
    void (*disable)(void *opaque, const struct ferry_error *why);
    int (*may_switch)(void *opaque, struct ferry_error *err);
    int (*self_check)(void *opaque, struct ferry_error *err);
};

/**
 * ferry_guest_set_rules() - rules for a device that was added before, described or iterative or both
 * @rules: copied; @opaque is what its functions get
 *
 * Returns 0, -ENOENT (no such device), -EEXIST (it has rules), -EINVAL, -ENOMEM.
 */
FERRY_API int ferry_guest_set_rules(struct ferry_guest *guest, const char *idstr, uint32_t instance_id,
                                    const struct ferry_device_rules *rules, void *opaque,
                                    struct ferry_error *err) FERRY_CHECK;

/* How many impaired devices the statistics name; the others are only counted. */
#define FERRY_IMPAIRED_SHOWN 8

/* A device whose state was refused while the guest goes on. */
struct ferry_impaired_device {
    char name[256];
    uint32_t instance_id;
    enum ferry_bad_state outcome; /* FERRY_BAD_STATE_DEGRADE, FERRY_BAD_STATE_DISABLE */
    char reason[256];
};

struct ferry_impaired_stats {
    uint32_t count;
    struct ferry_impaired_device device[FERRY_IMPAIRED_SHOWN]; /* the first so many */
};

FERRY_END_DECLS

#endif
