/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_slots.h - which memory slots of a KVM virtual machine make up a block, and turning their dirty log on and off */
#ifndef MEMORY_KVM_SLOTS_H
#define MEMORY_KVM_SLOTS_H

#include <ferry/kvm.h>
#include <stdbool.h>

struct kvm_slot {
    struct ferry_kvm_slot info;
    uint64_t pages;
    uint64_t *words; /* owned; a bit per page, for the tracker's use */
    bool logged;
};

struct kvm_slots {
    int vm_fd; /* borrowed */
    unsigned count;
    struct kvm_slot slot[];
};

/* Returns NULL with @err.  Refuses slots that are empty, overlap or are not made of pages. */
struct kvm_slots *kvm_slots_new(int vm_fd, const struct ferry_kvm_slot *slots, unsigned count, struct ferry_error *err);
void kvm_slots_free(struct kvm_slots *slots);

/* An ioctl that is asked again when interrupted.  A negative errno, not -1. */
int kvm_slots_ioctl(int fd, unsigned long request, void *arg);

/* Whether the slot lies in the block. */
bool kvm_slot_of(const struct kvm_slot *slot, const struct ferry_block *block);

/* -EINVAL unless every page of the block is in one of the slots. */
int kvm_slots_cover(const struct kvm_slots *slots, const struct ferry_block *block, struct ferry_error *err);

/* Turn KVM's log of the slot on or off. */
int kvm_slot_log(struct kvm_slots *slots, struct kvm_slot *slot, bool on, struct ferry_error *err);

/* Set in a block's bitmap what is set in slot->words; these stay. */
void kvm_slot_report(const struct kvm_slot *slot, const struct ferry_block *block, uint64_t *bitmap);

#endif
