/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_slots.c - which memory slots of a KVM virtual machine make up a block, and turning their dirty log on and off */
#include "kvm_slots.h"

#include "bits.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int kvm_slots_ioctl(int fd, unsigned long request, void *arg)
{
    int rc;

    do
        rc = ioctl(fd, request, arg);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : rc;
}

static int check_slot(const struct ferry_kvm_slot *slot, struct ferry_error *err)
{
    uint64_t host = (uintptr_t)slot->host;

    if (slot->length == 0 || slot->length > FERRY_RAM_BYTES_MAX || host + slot->length < host ||
        (slot->length | slot->guest_address | host) % FERRY_PAGE_BYTES)
        return ferry_error_set(err, -EINVAL, "memory slot %" PRIu32 ": %" PRIu64 " bytes are not a number of pages",
                               slot->slot, slot->length);
    return 0;
}

static bool overlap(const struct ferry_kvm_slot *a, const struct ferry_kvm_slot *b)
{
    uint64_t a_host = (uintptr_t)a->host, b_host = (uintptr_t)b->host;

    return a_host < b_host + b->length && b_host < a_host + a->length;
}

static int add_slot(struct kvm_slots *slots, const struct ferry_kvm_slot *info, struct ferry_error *err)
{
    struct kvm_slot *slot = &slots->slot[slots->count];
    int rc = check_slot(info, err);

    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < slots->count; i++)
        if (slots->slot[i].info.slot == info->slot || overlap(&slots->slot[i].info, info))
            return ferry_error_set(err, -EINVAL, "memory slots %" PRIu32 " and %" PRIu32 " are the same memory",
                                   slots->slot[i].info.slot, info->slot);
    slot->info = *info;
    slot->info.flags &= ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES;
    slot->pages = info->length / FERRY_PAGE_BYTES;
    slot->words = calloc(bits_words(slot->pages), sizeof(*slot->words));
    if (!slot->words)
        return ferry_error_set(err, -ENOMEM, "no memory to track memory slot %" PRIu32, info->slot);
    slots->count++;
    return 0;
}

struct kvm_slots *kvm_slots_new(int vm_fd, const struct ferry_kvm_slot *slots, unsigned count, struct ferry_error *err)
{
    struct kvm_slots *made = calloc(1, sizeof(*made) + count * sizeof(made->slot[0]));

    if (!made) {
        ferry_error_set(err, -ENOMEM, "no memory to track %u memory slots", count);
        return NULL;
    }
    made->vm_fd = vm_fd;
    for (unsigned i = 0; i < count; i++) {
        if (add_slot(made, &slots[i], err) < 0) {
            kvm_slots_free(made);
            return NULL;
        }
    }
    return made;
}

void kvm_slots_free(struct kvm_slots *slots)
{
    if (!slots)
        return;
    for (unsigned i = 0; i < slots->count; i++)
        free(slots->slot[i].words);
    free(slots);
}

bool kvm_slot_of(const struct kvm_slot *slot, const struct ferry_block *block)
{
    uint64_t from = (uintptr_t)slot->info.host - (uintptr_t)block->host;

    return from < block->length && slot->info.length <= block->length - from;
}

int kvm_slots_cover(const struct kvm_slots *slots, const struct ferry_block *block, struct ferry_error *err)
{
    uint64_t bytes = 0;

    /* They do not overlap, so it is enough to add them up. */
    for (unsigned i = 0; i < slots->count; i++)
        if (kvm_slot_of(&slots->slot[i], block))
            bytes += slots->slot[i].info.length;
    if (bytes != block->length)
        return ferry_error_set(err, -EINVAL, "block '%s': its memory slots have %" PRIu64 " bytes, but it has %" PRIu64,
                               block->name, bytes, block->length);
    return 0;
}

int kvm_slot_log(struct kvm_slots *slots, struct kvm_slot *slot, bool on, struct ferry_error *err)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot->info.slot,
        .flags = slot->info.flags | (on ? KVM_MEM_LOG_DIRTY_PAGES : 0),
        .guest_phys_addr = slot->info.guest_address,
        .memory_size = slot->info.length,
        .userspace_addr = (uintptr_t)slot->info.host,
    };
    int rc;

    if (slot->logged == on)
        return 0;
    rc = kvm_slots_ioctl(slots->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
    if (rc < 0)
        return ferry_error_set(err, rc, "the dirty log of memory slot %" PRIu32 " cannot be turned %s: %s",
                               slot->info.slot, on ? "on" : "off", strerror(-rc));
    slot->logged = on;
    return 0;
}

void kvm_slot_report(const struct kvm_slot *slot, const struct ferry_block *block, uint64_t *bitmap)
{
    uint64_t first = ((uintptr_t)slot->info.host - (uintptr_t)block->host) >> FERRY_PAGE_SHIFT;

    for (uint64_t i = 0; i < bits_words(slot->pages); i++) {
        uint64_t bits = slot->words[i], at = first + i * 64;

        if (!bits)
            continue;
        if (at % 64 == 0) {
            bitmap[at / 64] |= bits;
            continue;
        }
        bitmap[at / 64] |= bits << (at % 64);
        if (bits >> (64 - at % 64)) /* else the block may end before the next word */
            bitmap[at / 64 + 1] |= bits >> (64 - at % 64);
    }
}
