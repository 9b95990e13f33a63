/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker.h - the trackers we bring: who tells which pages changed
 *
 *   name         how                                                        needs
 *   uffd-async   write-protection resolved by the kernel, PAGEMAP_SCAN      Linux 6.7, userfaultfd
 *   uffd-sync    write-protection, a thread resolves each first write       Linux 5.7, userfaultfd
 *   (kvm-log, kvm-ring: the hypervisor's own account, which the embedder registers: see ferry/kvm.h)
 *
 * tracker_set ORs any number of them into one bitmap per block.
 *
 * Ours report writes of this process, its kernel's on its behalf included; reading is never reported, and giving memory
 * back (MADV_DONTNEED) is not either.  Memory can be watched by one of them at a time.  The first touch of a huge page
 * is reported for all of it, since that is what it made present.
 */
#ifndef MEMORY_TRACKER_H
#define MEMORY_TRACKER_H

#include "dirty.h"
#include "ram_map.h"

struct tracker {
    const struct ferry_tracker_ops *ops;
    void *opaque;
};

/* Each returns 0 or a negative errno with the reason (-ENOTSUP/-EPERM: this kernel or this process cannot). */
int tracker_uffd_async_new(struct tracker *tracker, struct ferry_error *err);
void tracker_uffd_async_free(struct tracker *tracker);
int tracker_uffd_sync_new(struct tracker *tracker, struct ferry_error *err);
void tracker_uffd_sync_free(struct tracker *tracker);

struct tracker_set;

/**
 * tracker_set_new() - watch all blocks of @map
 * @trackers: the embedder's; borrowed; with @count 0 the best of ours is chosen, made and owned
 *
 * Changes from the return of this call on are reported.
 */
struct tracker_set *tracker_set_new(const struct ram_map *map, const struct tracker *trackers, unsigned count,
                                    struct ferry_error *err);

/* Names of the trackers in use, for the report: "uffd-async" or "kvm-log+device". */
const char *tracker_set_name(const struct tracker_set *set);

/* OR what changed in @block since the last call into @dirty.  *changed: how many pages became dirty that were not. */
int tracker_set_sync(struct tracker_set *set, const struct ram_block *block, struct dirty_map *dirty, uint64_t *changed,
                     struct ferry_error *err);

/* Stops watching: memory is writable at full speed again. */
void tracker_set_free(struct tracker_set *set);

#endif
