/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm.c - the kvm guest: vCPUs of a real virtual machine that write pages which say what they are
 *
 *      block "kvm.ram"     page tables, the program, a page for each vCPU, and their shares (kvm_plan.h)
 *      device "kvm"        what it is like, its clock, and all registers of its vCPUs (kvm_state.h)
 *
 * What the pages must hold follows from the vCPUs' registers, which cross as device state.  While the guest runs, each
 * vCPU checks a page before it writes it anew, so that a page that went wrong on the way is not painted over; what no
 * vCPU came to is checked from outside, when they stand still.
 *
 * The guest's own clock is its time stamp counter, which is made to go on by as much as passed outside.  So the gap
 * that the first beat at the destination sees is the blackout.  A KVM that shows the guest the host's counter instead
 * does the same by itself while both are one host; else the host's clock is asked.
 */
#include "clock.h"
#include "kvm_check.h"
#include "kvm_guest.h"
#include "kvm_program.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static struct kvm_guest *of_base(struct bench_guest *base)
{
    return (struct kvm_guest *)base;
}

uint64_t kvm_guest_shown(const struct kvm_guest *k, unsigned cpu, unsigned offset)
{
    const uint8_t *page = k->ram.host + kvm_plan_address(k->parts.plan.cpu + cpu);

    return __atomic_load_n((const uint64_t *)(page + offset), __ATOMIC_RELAXED);
}

void kvm_guest_show(struct kvm_guest *k, unsigned cpu, unsigned offset, uint64_t value)
{
    uint8_t *page = k->ram.host + kvm_plan_address(k->parts.plan.cpu + cpu);

    __atomic_store_n((uint64_t *)(page + offset), value, __ATOMIC_RELAXED);
}

int64_t kvm_guest_ns(const struct kvm_guest *k, uint64_t ticks)
{
    double ns = (double)ticks * 1e6 / k->state.time.tsc_khz;

    return ns < (double)INT64_MAX / 2 ? (int64_t)ns : INT64_MAX / 2;
}

static uint64_t pages_of_all(const struct kvm_guest *k)
{
    uint64_t lines = 0;

    for (unsigned i = 0; i < k->parts.cpus; i++)
        lines += kvm_guest_shown(k, i, KVM_PAGE_LINES);
    return lines >> KVM_PAGE_LINES_SHIFT;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static int kvm_start(struct kvm_guest *k, struct ferry_error *err)
{
    int ret = 0;

    pthread_mutex_lock(&k->lock);
    if (!k->parts.threads) {
        ret = ferry_error_set(err, -EPROTO, "the stream brought no state for the kvm guest: it cannot run");
    } else if (!k->running_since_ns) {
        if (k->arrival.pending)
            kvm_guest_arrive(k);
        k->running_since_ns = clock_now_ns();
        kvm_threads_start(k->parts.threads);
    }
    pthread_mutex_unlock(&k->lock);
    return ret;
}

static void kvm_stop(struct kvm_guest *k)
{
    pthread_mutex_lock(&k->lock);
    if (k->running_since_ns) {
        kvm_threads_stop(k->parts.threads);
        k->ran_ns += clock_now_ns() - k->running_since_ns;
        k->running_since_ns = 0;
    }
    pthread_mutex_unlock(&k->lock);
}

/* ---- what the ferry_guest asks ----------------------------------------------------------------------------------- */

/* A vCPU that ended by itself would end again at the destination. */
static int asked_to_stop(void *opaque, struct ferry_error *err)
{
    struct kvm_guest *k = opaque;

    kvm_stop(k);
    return k->parts.threads ? kvm_threads_failed(k->parts.threads, err) : 0;
}

static int asked_to_start(void *opaque, struct ferry_error *err)
{
    return kvm_start(opaque, err);
}

static int map_announced(struct kvm_guest *k, const char *name, uint64_t length, struct ferry_error *err)
{
    int ret;

    if (strcmp(name, KVM_RAM_NAME) != 0)
        return ferry_error_set(err, -ENOENT, "a kvm guest has no block '%s'", name);
    if (k->ram.host)
        return ferry_error_set(err, -EEXIST, "block '%s' is there already, with another length", name);
    if (length == 0 || length % FERRY_PAGE_BYTES || length > SPEC_SIZE_MAX)
        return ferry_error_set(err, -EINVAL, "block '%s' cannot have %" PRIu64 " bytes", name, length);
    ret = mapping_map(&k->ram, length, MAPPING_LAZY | MAPPING_HUGE, err);
    return ret < 0 ? ret : kvm_vm_set_memory(&k->vm, &k->ram, err);
}

static int asked_for_block(void *opaque, const char *name, uint64_t length, struct ferry_block *block,
                           struct ferry_error *err)
{
    struct kvm_guest *k = opaque;
    int ret;

    pthread_mutex_lock(&k->lock);
    ret = map_announced(k, name, length, err);
    if (ret == 0) {
        block->host = k->ram.host;
        block->length = k->ram.bytes;
        block->page_size = FERRY_PAGE_BYTES;
        block->flags = FERRY_BLOCK_PRIVATE | FERRY_BLOCK_FRESH;
        k->state.ram_bytes = k->ram.bytes;
    }
    pthread_mutex_unlock(&k->lock);
    return ret;
}

static int asked_to_throttle(void *opaque, unsigned percent, struct ferry_error *err)
{
    struct kvm_guest *k = opaque;

    pthread_mutex_lock(&k->lock);
    if (k->parts.threads)
        kvm_threads_throttle(k->parts.threads, percent);
    pthread_mutex_unlock(&k->lock);
    return 0;
}

const struct ferry_guest_ops kvm_guest_ferry_ops = {
    .stop = asked_to_stop,
    .start = asked_to_start,
    .provide_block = asked_for_block,
    .throttle = asked_to_throttle,
};

/* ---- the check --------------------------------------------------------------------------------------------------- */

static int kvm_verify(struct bench_guest *base, uint64_t run_on_ns, struct bench_verify *out, struct ferry_error *err)
{
    struct kvm_guest *k = of_base(base);
    bool there;
    int ret;

    pthread_mutex_lock(&k->lock);
    there = k->parts.threads;
    pthread_mutex_unlock(&k->lock);
    if (!there)
        return ferry_error_set(err, -EPROTO, "a guest without state cannot be checked");
    if (run_on_ns > 0)
        clock_sleep_until_ns(clock_now_ns() + (int64_t)(run_on_ns < INT64_MAX / 2 ? run_on_ns : INT64_MAX / 2));
    kvm_stop(k);
    pthread_mutex_lock(&k->lock);
    ret = kvm_threads_failed(k->parts.threads, err);
    if (ret == 0)
        ret = kvm_guest_read_state(k, err);
    pthread_mutex_unlock(&k->lock);
    if (ret < 0)
        return ret;
    kvm_check(&k->parts.plan, k->ram.host, k->state.cpu, &k->findings);
    *out = (struct bench_verify){
        .pages = k->ram.bytes / FERRY_PAGE_BYTES,
        .mismatched = k->findings.mismatched,
        .lost_writes = k->findings.lost_writes,
    };
    memcpy(out->first, k->findings.first, sizeof(out->first));
    return 0;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

/* By the guest, once it has beaten here; by the hosts' clocks where its own was not made to go on. */
static int64_t blackout_ns(const struct kvm_guest *k)
{
    uint64_t ticks = kvm_guest_shown(k, 0, KVM_PAGE_BLACKOUT);

    if (k->arrival.host_ns < 0 || ticks == 0)
        return -1;
    return k->arrival.own_tsc || !k->arrival.by_wall_clock ? kvm_guest_ns(k, ticks) : k->arrival.host_ns;
}

static void kvm_figures(struct bench_guest *base, struct bench_figures *out)
{
    struct kvm_guest *k = of_base(base);
    int64_t ran_ns;

    pthread_mutex_lock(&k->lock);
    *out = (struct bench_figures){ .ram_bytes = k->ram.bytes, .blackout_ns = -1 };
    if (k->parts.threads) {
        for (unsigned i = 0; i < k->parts.cpus; i++) {
            uint64_t gap = (uint64_t)kvm_guest_ns(k, kvm_guest_shown(k, i, KVM_PAGE_LARGEST));

            out->beats += kvm_guest_shown(k, i, KVM_PAGE_BEATS);
            if (gap > out->largest_gap_ns)
                out->largest_gap_ns = gap;
        }
        out->pages_written = pages_of_all(k) - k->arrival.pages_before;
        out->blackout_ns = blackout_ns(k);
        out->blackout_by_wall_clock = k->arrival.by_wall_clock;
    }
    ran_ns = k->ran_ns + (k->running_since_ns ? clock_now_ns() - k->running_since_ns : 0);
    pthread_mutex_unlock(&k->lock);
    if (ran_ns > 0)
        out->dirty_bytes_per_sec =
            (uint64_t)((double)out->pages_written * FERRY_PAGE_BYTES * NS_PER_SEC / (double)ran_ns);
}

static struct ferry_guest *kvm_ferry(struct bench_guest *base)
{
    return of_base(base)->ferry;
}

static int kvm_started(struct bench_guest *base, struct ferry_error *err)
{
    return kvm_start(of_base(base), err);
}

static int kvm_stopped(struct bench_guest *base, struct ferry_error *err)
{
    kvm_stop(of_base(base));
    return 0;
}

const struct bench_guest_ops kvm_guest_ops = {
    .kind = "kvm",
    .create = kvm_guest_create,
    .incoming = kvm_guest_incoming,
    .ferry = kvm_ferry,
    .start = kvm_started,
    .stop = kvm_stopped,
    .verify = kvm_verify,
    .figures = kvm_figures,
    .free = kvm_guest_free,
};
