/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_rate_tracked.c - how fast a guest writes its memory, by the trackers that a migration would have
 *
 * Every page that was written in the time, once; by KVM's rings, every page as often as its vCPU put it there.
 */
#include "clock.h"
#include "guest_parts.h"
#include "options.h"
#include "precopy.h"
#include "qmp_rate.h"

#include <ferry/kvm.h>
#include <string.h>

static const char *const names[] = {
    [QMP_RATE_PAGE_SAMPLING] = "page-sampling",
    [QMP_RATE_DIRTY_BITMAP] = "dirty-bitmap",
    [QMP_RATE_DIRTY_RING] = "dirty-ring",
};

#define MODES (sizeof(names) / sizeof(names[0]))

int qmp_rate_mode_of(const char *name)
{
    for (unsigned i = 0; i < MODES; i++)
        if (!strcmp(names[i], name))
            return (int)i;
    return -1;
}

const char *qmp_rate_mode_name(enum qmp_rate_mode mode)
{
    return names[mode];
}

static struct ferry_kvm_ring *ring_of(const struct ferry_guest *guest)
{
    for (unsigned i = 0; i < guest->trackers.count; i++)
        if (guest->trackers.tracker[i].ops == &ferry_kvm_ring_ops)
            return guest->trackers.tracker[i].opaque;
    return NULL;
}

bool qmp_rate_possible(const struct ferry_guest *guest, enum qmp_rate_mode mode)
{
    return mode == QMP_RATE_PAGE_SAMPLING || (mode == QMP_RATE_DIRTY_RING) == (ring_of(guest) != NULL);
}

static unsigned ring_pages(const struct ferry_guest *guest, uint64_t pages[QMP_RATE_VCPUS])
{
    struct ferry_kvm_ring *ring = ring_of(guest);
    unsigned vcpus = ring ? ferry_kvm_ring_pages(ring, pages, QMP_RATE_VCPUS) : 0;

    return vcpus < QMP_RATE_VCPUS ? vcpus : QMP_RATE_VCPUS;
}

static double per_sec(uint64_t pages, int64_t ns)
{
    return ns > 0 ? (double)pages * FERRY_PAGE_BYTES * NS_PER_SEC / (double)ns : 0;
}

/* What was dirty before, or is because the trackers were started, does not count. */
static int forget(struct precopy *precopy, struct ferry_error *err)
{
    uint64_t changed;
    int ret = precopy_sync(precopy, &changed, err);

    for (unsigned i = 0; i < precopy->walk.map->count; i++)
        dirty_clear_all(&precopy->walk.dirty[i]);
    return ret;
}

static int look_twice(struct precopy *precopy, const struct ferry_guest *guest, const struct qmp_rate_pause *pause,
                      struct qmp_rate_result *result, struct ferry_error *err)
{
    uint64_t before[QMP_RATE_VCPUS], after[QMP_RATE_VCPUS], changed;
    int ret = forget(precopy, err);
    int64_t from_ns = clock_now_ns(), took_ns;

    ring_pages(guest, before);
    if (ret < 0)
        return ret;
    result->whole = pause->wait(pause->opaque);
    ret = precopy_sync(precopy, &changed, err);
    took_ns = clock_now_ns() - from_ns;
    if (ret < 0)
        return ret;
    result->vcpus = ring_pages(guest, after);
    result->bytes_per_sec = result->vcpus > 0 ? 0 : per_sec(changed, took_ns);
    for (unsigned i = 0; i < result->vcpus; i++) {
        result->vcpu_bytes_per_sec[i] = per_sec(after[i] - before[i], took_ns);
        result->bytes_per_sec += result->vcpu_bytes_per_sec[i];
    }
    return 0;
}

int qmp_rate_by_trackers(struct ferry_guest *guest, const struct qmp_rate_pause *pause, struct qmp_rate_result *result,
                         struct ferry_error *err)
{
    struct precopy precopy;
    int ret = precopy_begin(&precopy, guest, TRACKER_AUTO, NULL, err);

    if (ret == 0)
        ret = look_twice(&precopy, guest, pause, result, err);
    precopy_end(&precopy);
    return ret;
}
