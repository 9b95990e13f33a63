/* SPDX-License-Identifier: BSD-3-Clause */
/* tracker_kvm_ring.c - dirty tracking by KVM's rings of page numbers, one for each vCPU
 *
 *     an entry    empty --- KVM: dirty --- harvest: its bit is set, reset --- KVM_RESET_DIRTY_RINGS: protected, empty
 *
 * A full ring stops its vCPU until somebody harvests, so entries go into bitmaps here at once, by whoever comes first:
 * the migration thread's sync or a vCPU's ferry_kvm_ring_full().  A bit is handed out only after the reset that
 * followed it, hence whoever reads the page then reads it after it was protected again.
 */
#include "bits.h"
#include "kvm_slots.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL 223
#endif

#define ENTRIES_MIN 1024 /* the kernel keeps some of them in reserve */

struct ring {
    struct kvm_dirty_gfn *entries; /* mapped; NULL: not */
    uint32_t next;                 /* which entry will be filled next; counts on and on */
    uint64_t pages;                /* that were in it so far */
};

struct ferry_kvm_ring {
    struct kvm_slots *slots; /* owned */
    unsigned entries;
    unsigned count;
    pthread_mutex_t lock; /* guards the rings, the slots' words, and failed */
    int failed;           /* what a harvest could not do; told by the next sync */
    struct ring ring[];
};

static void ring_note(struct ferry_kvm_ring *rings, const struct kvm_dirty_gfn *entry)
{
    for (unsigned i = 0; i < rings->slots->count; i++) {
        struct kvm_slot *slot = &rings->slots->slot[i];

        if (slot->info.slot == entry->slot && entry->offset < slot->pages)
            slot->words[entry->offset / 64] |= UINT64_C(1) << (entry->offset % 64);
    }
}

static bool ring_take(struct ferry_kvm_ring *rings, struct ring *ring)
{
    bool any = false;

    for (;;) {
        struct kvm_dirty_gfn *entry = &ring->entries[ring->next & (rings->entries - 1)];

        if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
            return any;
        ring_note(rings, entry);
        __atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        ring->next++;
        ring->pages++;
        any = true;
    }
}

/* Call with the lock held. */
static int ring_harvest(struct ferry_kvm_ring *rings)
{
    bool any = false;
    int rc = 0;

    for (unsigned i = 0; i < rings->count; i++)
        any |= ring_take(rings, &rings->ring[i]);
    if (any)
        rc = kvm_slots_ioctl(rings->slots->vm_fd, KVM_RESET_DIRTY_RINGS, NULL);
    if (rc < 0)
        rings->failed = rc;
    return rings->failed;
}

static int ring_failed(int rc, struct ferry_error *err)
{
    return ferry_error_set(err, rc, "KVM's dirty rings cannot be emptied: %s", strerror(-rc));
}

int ferry_kvm_ring_full(struct ferry_kvm_ring *ring, struct ferry_error *err)
{
    int rc;

    pthread_mutex_lock(&ring->lock);
    rc = ring_harvest(ring);
    pthread_mutex_unlock(&ring->lock);
    return rc < 0 ? ring_failed(rc, err) : 0;
}

unsigned ferry_kvm_ring_pages(struct ferry_kvm_ring *ring, uint64_t *pages, unsigned room)
{
    pthread_mutex_lock(&ring->lock);
    for (unsigned i = 0; i < ring->count && i < room; i++)
        pages[i] = ring->ring[i].pages;
    pthread_mutex_unlock(&ring->lock);
    return ring->count;
}

static int ring_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    struct ferry_kvm_ring *rings = opaque;
    int rc = kvm_slots_cover(rings->slots, block, err);

    for (unsigned i = 0; rc == 0 && i < rings->slots->count; i++) {
        struct kvm_slot *slot = &rings->slots->slot[i];

        if (!kvm_slot_of(slot, block))
            continue;
        pthread_mutex_lock(&rings->lock);
        memset(slot->words, 0, bits_words(slot->pages) * sizeof(*slot->words));
        pthread_mutex_unlock(&rings->lock);
        rc = kvm_slot_log(rings->slots, slot, true, err);
    }
    return rc;
}

static int ring_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    struct ferry_kvm_ring *rings = opaque;
    int rc;

    pthread_mutex_lock(&rings->lock);
    rc = ring_harvest(rings);
    for (unsigned i = 0; rc == 0 && i < rings->slots->count; i++) {
        struct kvm_slot *slot = &rings->slots->slot[i];

        if (!kvm_slot_of(slot, block))
            continue;
        kvm_slot_report(slot, block, bitmap);
        memset(slot->words, 0, bits_words(slot->pages) * sizeof(*slot->words));
    }
    pthread_mutex_unlock(&rings->lock);
    return rc < 0 ? ring_failed(rc, err) : 0;
}

static void ring_stop(void *opaque, const struct ferry_block *block)
{
    struct ferry_kvm_ring *rings = opaque;

    for (unsigned i = 0; i < rings->slots->count; i++)
        if (kvm_slot_of(&rings->slots->slot[i], block))
            kvm_slot_log(rings->slots, &rings->slots->slot[i], false, NULL);
    /* What is left in them would fill them up the sooner next time. */
    ferry_kvm_ring_full(rings, NULL);
}

const struct ferry_tracker_ops ferry_kvm_ring_ops = {
    .name = "kvm-ring",
    .start = ring_start,
    .sync = ring_sync,
    .stop = ring_stop,
};

int ferry_kvm_ring_enable(int vm_fd, unsigned entries, struct ferry_error *err)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL };
    int most = kvm_slots_ioctl(vm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_DIRTY_LOG_RING_ACQ_REL), rc;

    if (most <= 0) {
        cap.cap = KVM_CAP_DIRTY_LOG_RING;
        most = kvm_slots_ioctl(vm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_DIRTY_LOG_RING);
    }
    if (most <= 0)
        return ferry_error_set(err, -ENOTSUP, "this KVM has no dirty rings (Linux 5.11)");
    most /= (int)sizeof(struct kvm_dirty_gfn);
    if (entries > (unsigned)most)
        entries = (unsigned)most;
    if (entries < ENTRIES_MIN || (entries & (entries - 1)))
        return ferry_error_set(err, -EINVAL, "a dirty ring of %u entries: %d to %d, and a power of two, are possible",
                               entries, ENTRIES_MIN, most);
    cap.args[0] = (uint64_t)entries * sizeof(struct kvm_dirty_gfn);
    rc = kvm_slots_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);
    if (rc < 0)
        return ferry_error_set(err, rc, "dirty rings cannot be had (they must be, before the first vCPU): %s",
                               strerror(-rc));
    return (int)entries;
}

static int ring_map(struct ferry_kvm_ring *rings, int vcpu_fd, struct ferry_error *err)
{
    size_t bytes = rings->entries * sizeof(struct kvm_dirty_gfn);
    off_t offset = (off_t)KVM_DIRTY_LOG_PAGE_OFFSET * sysconf(_SC_PAGESIZE);
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, offset);

    if (at == MAP_FAILED)
        return ferry_error_set(err, -errno, "the dirty ring of vCPU %u cannot be mapped: %s", rings->count,
                               strerror(errno));
    rings->ring[rings->count++].entries = at;
    return 0;
}

struct ferry_kvm_ring *ferry_kvm_ring_new(int vm_fd, const int *vcpu_fds, unsigned vcpus, unsigned entries,
                                          const struct ferry_kvm_slot *slots, unsigned count, struct ferry_error *err)
{
    struct ferry_kvm_ring *rings = calloc(1, sizeof(*rings) + vcpus * sizeof(rings->ring[0]));

    if (!rings || pthread_mutex_init(&rings->lock, NULL) != 0) {
        free(rings);
        ferry_error_set(err, -ENOMEM, "no memory for a tracker");
        return NULL;
    }
    rings->entries = entries;
    rings->slots = kvm_slots_new(vm_fd, slots, count, err);
    if (!rings->slots)
        goto fail;
    for (unsigned i = 0; i < vcpus; i++)
        if (ring_map(rings, vcpu_fds[i], err) < 0)
            goto fail;
    return rings;
fail:
    ferry_kvm_ring_free(rings);
    return NULL;
}

void ferry_kvm_ring_free(struct ferry_kvm_ring *ring)
{
    if (!ring)
        return;
    while (ring->count > 0)
        munmap(ring->ring[--ring->count].entries, ring->entries * sizeof(struct kvm_dirty_gfn));
    kvm_slots_free(ring->slots);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}
