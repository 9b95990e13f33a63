/* SPDX-License-Identifier: BSD-3-Clause */
/* guest.h - what an embedder hands over: memory, devices, and how to stop and start
 *
 * A ferry_guest describes one virtual machine in this process.  It is filled before a session starts and left alone
 * until the session was freed.
 */
#ifndef FERRY_GUEST_H
#define FERRY_GUEST_H

#include <ferry/api.h>
#include <ferry/convert.h>
#include <ferry/error.h>
#include <ferry/memory.h>
#include <ferry/model.h>
#include <ferry/state.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

struct ferry_guest;

/**
 * struct ferry_guest_ops - what Ferry asks of the embedder; all calls come from the session's own thread, but for
 * @start after the end (ferry_session_settle(), ferry_session_revert()), which comes from the caller's
 *
 * @stop: stop the CPUs and everything else that writes guest memory or device state; returns when they stand still.
 *        Called at the source, once, before the last pages are sent.
 * @start: run.  At the destination when everything was loaded and checked; at the source again after a migration that
 *         failed or was cancelled after @stop.  One that fails has not run a single instruction: the guest then goes on
 *         at the other side.
 * @provide_block: destination only, may be NULL: the stream announces a block that the guest does not have (or has
 *        with another length).  Fill in *@block (its name is already there) or refuse with an error.
 * @throttle: source only, may be NULL: from now on let the CPUs run for no more than 100 - @percent of their time
 *        (0: as they like, at most 99), so that less memory is written.  Returns at once; the guest goes on.  Called
 *        with other percentages later, and with 0 when the migration ends, however it does.
 */
struct ferry_guest_ops {
    int (*stop)(void *opaque, struct ferry_error *err);
    int (*start)(void *opaque, struct ferry_error *err);
    int (*provide_block)(void *opaque, const char *name, uint64_t length, struct ferry_block *block,
                         struct ferry_error *err);
    int (*throttle)(void *opaque, unsigned percent, struct ferry_error *err);
};

/**
 * ferry_guest_new() - an empty guest
 * @machine: its machine type, the same text at both ends, 1 to 255 bytes
 * @ops: borrowed
 */
FERRY_API struct ferry_guest *ferry_guest_new(const char *machine, const struct ferry_guest_ops *ops, void *opaque,
                                              struct ferry_error *err);

/* NULL is legal.  The memory of blocks and devices stays the embedder's. */
FERRY_API void ferry_guest_free(struct ferry_guest *guest);

/* The description is copied, the memory borrowed until the guest is freed. */
FERRY_API int ferry_guest_add_block(struct ferry_guest *guest, const struct ferry_block *block,
                                    struct ferry_error *err) FERRY_CHECK;

/* Number of blocks, and the i-th; valid until the guest is freed. */
FERRY_API unsigned ferry_guest_blocks(const struct ferry_guest *guest);
FERRY_API const struct ferry_block *ferry_guest_block(const struct ferry_guest *guest, unsigned index);

/**
 * ferry_guest_add_device() - a device whose state @desc describes
 * @device: the struct that @desc was written for; borrowed
 * @idstr: its name in the stream; NULL: desc->name
 * @instance_id: which one of several with that name; FERRY_INSTANCE_NEXT: the next free one
 */
FERRY_API int ferry_guest_add_device(struct ferry_guest *guest, const struct ferry_state_desc *desc, void *device,
                                     const char *idstr, int instance_id, struct ferry_error *err) FERRY_CHECK;

/* A device with a plain pair of functions for saving and loading (see ferry/state.h). */
FERRY_API int ferry_guest_add_legacy_device(struct ferry_guest *guest, const char *idstr, int instance_id,
                                            const struct ferry_legacy_ops *ops, void *device,
                                            struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_guest_set_model() - which model a device is of, and its configuration; see ferry/model.h
 * @idstr, @instance_id: the device, added before
 * @model: copied
 *
 * A device without one is of a model that is called as its description is, without configuration.
 */
FERRY_API int ferry_guest_set_model(struct ferry_guest *guest, const char *idstr, unsigned instance_id,
                                    const struct ferry_model *model, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_guest_add_converter() - exchange state with another version of a device; see ferry/convert.h
 * @converter: for every device whose description has the name of converter->other; borrowed
 *
 * At most one for each version.
 */
FERRY_API int ferry_guest_add_converter(struct ferry_guest *guest, const struct ferry_converter *converter,
                                        struct ferry_error *err) FERRY_CHECK;

/* Save for an older destination: see ferry/state.h.  @profile is borrowed. */
FERRY_API void ferry_guest_set_profile(struct ferry_guest *guest, const struct ferry_profile *profile);

/**
 * ferry_guest_give_userfault() - destination: a userfaultfd for postcopy, for who may not open one
 * @fd: taken; fresh from the system call or from /dev/userfaultfd, non-blocking, for faults of the kernel, too, and
 *      without UFFDIO_API; of this process (a privileged parent can have it opened by a child of clone() with CLONE_VM)
 *
 * For one migration.
 */
FERRY_API void ferry_guest_give_userfault(struct ferry_guest *guest, int fd);

/**
 * ferry_guest_add_tracker() - learn of written pages from here, too
 *
 * Without any, Ferry tracks the memory of this process itself (userfaultfd), which covers everything that this process
 * writes through its page tables, a KVM guest included.
 */
FERRY_API int ferry_guest_add_tracker(struct ferry_guest *guest, const struct ferry_tracker_ops *ops, void *opaque,
                                      struct ferry_error *err) FERRY_CHECK;

/* The same for what devices write past the page tables of this process (DMA): does not stand in for the tracking of all
 * else, which goes on as if it had not been added. */
FERRY_API int ferry_guest_add_device_tracker(struct ferry_guest *guest, const struct ferry_tracker_ops *ops,
                                             void *opaque, struct ferry_error *err) FERRY_CHECK;

FERRY_END_DECLS

#endif
