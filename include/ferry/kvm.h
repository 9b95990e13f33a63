/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm.h - dirty tracking by KVM itself, for those whose guest is a KVM virtual machine
 *
 * Without it Ferry watches a KVM guest's memory through the page tables of this process, which is exact but costs a
 * fault for each first write.  KVM keeps its own account of what the vCPUs write, in one of two forms:
 *
 *     log     a bitmap for each memory slot       ferry_kvm_log_new()     any VM, at any time
 *     ring    a ring of page numbers per vCPU     ferry_kvm_ring_new()    must be turned on before the first vCPU
 *
 *     struct ferry_kvm_log *log = ferry_kvm_log_new(vm_fd, slots, 2, &err);
 *
 *     ferry_guest_add_tracker(guest, &ferry_kvm_log_ops, log, &err);
 *
 * Either speaks of what vCPUs write.  What this process writes into guest memory itself (a device model's DMA) must be
 * reported by another tracker.  Both turn the slot's KVM_MEM_LOG_DIRTY_PAGES on and off: nobody else may meanwhile
 * change the slot.
 */
#ifndef FERRY_KVM_H
#define FERRY_KVM_H

#include <ferry/api.h>
#include <ferry/error.h>
#include <ferry/memory.h>
#include <stdint.h>

FERRY_BEGIN_DECLS

/* As it was given to KVM_SET_USER_MEMORY_REGION.  A block of the guest may be made of several slots. */
struct ferry_kvm_slot {
    uint32_t slot;  /* its number, with the address space in the upper 16 bits */
    uint32_t flags; /* KVM_MEM_..., without KVM_MEM_LOG_DIRTY_PAGES */
    uint64_t guest_address;
    uint64_t length; /* bytes */
    void *host;      /* where it lies in this process: within one of the guest's blocks */
};

struct ferry_kvm_log;
struct ferry_kvm_ring;

/**
 * ferry_kvm_log_new() - a tracker that reads KVM's dirty bitmaps
 * @vm_fd: borrowed until the tracker is freed
 * @slots: all that make up the blocks to be tracked; copied
 *
 * Uses KVM_CLEAR_DIRTY_LOG where the kernel has KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 (which it then enables, initially all
 * set where that is offered); else KVM_GET_DIRTY_LOG, which protects the whole slot at once, does both.
 */
FERRY_API struct ferry_kvm_log *ferry_kvm_log_new(int vm_fd, const struct ferry_kvm_slot *slots, unsigned count,
                                                  struct ferry_error *err);

/* After the session.  NULL is legal. */
FERRY_API void ferry_kvm_log_free(struct ferry_kvm_log *log);

/* For ferry_guest_add_tracker(), with the struct ferry_kvm_log as opaque. */
FERRY_API extern const struct ferry_tracker_ops ferry_kvm_log_ops;

/**
 * ferry_kvm_ring_enable() - have KVM keep dirty rings; before the first vCPU is created
 * @entries: of each vCPU's ring, a power of two; rounded down to what this kernel allows
 *
 * Returns how many entries there are: to be passed to ferry_kvm_ring_new().  -ENOTSUP where KVM has no rings.  From
 * then on the VM has no dirty bitmaps.
 */
FERRY_API int ferry_kvm_ring_enable(int vm_fd, unsigned entries, struct ferry_error *err) FERRY_CHECK;

/**
 * ferry_kvm_ring_new() - a tracker that reads the vCPUs' dirty rings
 * @vm_fd, @vcpu_fds: borrowed until the tracker is freed; all vCPUs that there are
 * @slots: as above
 */
FERRY_API struct ferry_kvm_ring *ferry_kvm_ring_new(int vm_fd, const int *vcpu_fds, unsigned vcpus, unsigned entries,
                                                    const struct ferry_kvm_slot *slots, unsigned count,
                                                    struct ferry_error *err);

/* After the session.  NULL is legal. */
FERRY_API void ferry_kvm_ring_free(struct ferry_kvm_ring *ring);

/* For ferry_guest_add_tracker(), with the struct ferry_kvm_ring as opaque. */
FERRY_API extern const struct ferry_tracker_ops ferry_kvm_ring_ops;

/**
 * ferry_kvm_ring_full() - make room; to be called when KVM_RUN returned with KVM_EXIT_DIRTY_RING_FULL
 *
 * Then run the vCPU again.  Thread: any, a vCPU's own usually.  A ring may overflow only while a session tracks it or
 * shortly after, but this is legal at any time.
 */
FERRY_API int ferry_kvm_ring_full(struct ferry_kvm_ring *ring, struct ferry_error *err);

/**
 * ferry_kvm_ring_pages() - how many pages each vCPU has had in its ring so far
 * @pages: room for @room vCPUs, in the order of ferry_kvm_ring_new()
 *
 * A page counts again when it was written after it had been reported.  As of the last sync or ferry_kvm_ring_full().
 * Returns how many vCPUs there are, which may be more than @room.  Thread: any.
 */
FERRY_API unsigned ferry_kvm_ring_pages(struct ferry_kvm_ring *ring, uint64_t *pages, unsigned room);

FERRY_END_DECLS

#endif
