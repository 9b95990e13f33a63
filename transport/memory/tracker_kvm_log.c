/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_kvm_log.c - dirty tracking by KVM's bitmaps, one for each memory slot
 *
 * With manual protection, reading the bitmap changes nothing, and a page is protected again only when its bit is
 * cleared by name:
 *
 *     vCPU          write A              write B                        write A
 *     bitmap        A                    A B                            B A
 *     sync                   get: A             clear A: protected             the next get: A B
 *
 * What is written between get and clear is in a page that was reported, and that page is read only later.  A log that
 * begins with all bits set leaves the kernel nothing to protect when it is turned on; start clears it all in pieces, so
 * that the vCPUs are never locked out for long.
 */
#include "bits.h"
#include "kvm_slots.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#define CLEAR_PAGES UINT64_C(65536) /* at once: the kernel holds its lock that long; a multiple of 64 */

struct ferry_kvm_log {
    struct kvm_slots *slots; /* owned */
    bool manual;             /* a bit is cleared by name */
    bool all_set;            /* a log begins with every page in it, none of them protected */
};

static int log_failed(const struct kvm_slot *slot, const char *what, int rc, struct ferry_error *err)
{
    return ferry_error_set(err, rc, "memory slot %" PRIu32 ": the dirty log cannot be %s: %s", slot->info.slot, what,
                           strerror(-rc));
}

/* Into slot->words. */
static int log_get(struct ferry_kvm_log *log, struct kvm_slot *slot, struct ferry_error *err)
{
    struct kvm_dirty_log get = { .slot = slot->info.slot, .dirty_bitmap = slot->words };
    int rc = kvm_slots_ioctl(log->slots->vm_fd, KVM_GET_DIRTY_LOG, &get);

    return rc < 0 ? log_failed(slot, "read", rc, err) : 0;
}

/* What is in slot->words is watched again. */
static int log_clear(struct ferry_kvm_log *log, struct kvm_slot *slot, struct ferry_error *err)
{
    for (uint64_t first = 0; first < slot->pages; first += CLEAR_PAGES) {
        uint64_t pages = slot->pages - first < CLEAR_PAGES ? slot->pages - first : CLEAR_PAGES;
        struct kvm_clear_dirty_log clear = {
            .slot = slot->info.slot,
            .num_pages = (uint32_t)pages,
            .first_page = first,
            .dirty_bitmap = slot->words + first / 64,
        };
        int rc = kvm_slots_ioctl(log->slots->vm_fd, KVM_CLEAR_DIRTY_LOG, &clear);

        if (rc < 0)
            return log_failed(slot, "cleared", rc, err);
    }
    return 0;
}

static int log_begin(struct ferry_kvm_log *log, struct kvm_slot *slot, struct ferry_error *err)
{
    int rc = kvm_slot_log(log->slots, slot, true, err);

    if (rc < 0 || !log->all_set)
        return rc;
    memset(slot->words, 0xff, bits_words(slot->pages) * sizeof(*slot->words));
    return log_clear(log, slot, err);
}

static int log_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    struct ferry_kvm_log *log = opaque;
    int rc = kvm_slots_cover(log->slots, block, err);

    for (unsigned i = 0; rc == 0 && i < log->slots->count; i++)
        if (kvm_slot_of(&log->slots->slot[i], block))
            rc = log_begin(log, &log->slots->slot[i], err);
    return rc;
}

static int log_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    struct ferry_kvm_log *log = opaque;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < log->slots->count; i++) {
        struct kvm_slot *slot = &log->slots->slot[i];

        if (!kvm_slot_of(slot, block))
            continue;
        rc = log_get(log, slot, err);
        if (rc < 0)
            break;
        kvm_slot_report(slot, block, bitmap);
        if (log->manual)
            rc = log_clear(log, slot, err);
    }
    return rc;
}

static void log_stop(void *opaque, const struct ferry_block *block)
{
    struct ferry_kvm_log *log = opaque;

    for (unsigned i = 0; i < log->slots->count; i++)
        if (kvm_slot_of(&log->slots->slot[i], block))
            kvm_slot_log(log->slots, &log->slots->slot[i], false, NULL);
}

const struct ferry_tracker_ops ferry_kvm_log_ops = {
    .name = "kvm-log",
    .start = log_start,
    .sync = log_sync,
    .stop = log_stop,
};

static void log_set_up(struct ferry_kvm_log *log)
{
    int offered = kvm_slots_ioctl(log->slots->vm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };

    if (offered <= 0)
        return;
    cap.args[0] = (uint64_t)offered & (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
    if (kvm_slots_ioctl(log->slots->vm_fd, KVM_ENABLE_CAP, &cap) < 0)
        return;
    log->manual = cap.args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
    log->all_set = cap.args[0] & KVM_DIRTY_LOG_INITIALLY_SET;
}

struct ferry_kvm_log *ferry_kvm_log_new(int vm_fd, const struct ferry_kvm_slot *slots, unsigned count,
                                        struct ferry_error *err)
{
    struct ferry_kvm_log *log = calloc(1, sizeof(*log));

    if (!log) {
        ferry_error_set(err, -ENOMEM, "no memory for a tracker");
        return NULL;
    }
    log->slots = kvm_slots_new(vm_fd, slots, count, err);
    if (!log->slots) {
        free(log);
        return NULL;
    }
    log_set_up(log);
    log_debug(LOG_MEMORY, "KVM's dirty log: %s",
              log->all_set  ? "cleared by name, initially all set"
              : log->manual ? "cleared by name"
                            : "cleared as it is read");
    return log;
}

void ferry_kvm_log_free(struct ferry_kvm_log *log)
{
    if (!log)
        return;
    kvm_slots_free(log->slots);
    free(log);
}
