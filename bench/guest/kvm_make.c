/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_make.c - making and freeing a kvm guest */
#include "kvm_check.h"
#include "kvm_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define MACHINE      "ferry-kvm"
#define RING_ENTRIES 16384

int kvm_guest_open_cpus(struct kvm_guest *k, unsigned count, struct ferry_error *err)
{
    int ret = 0;

    while (ret == 0 && k->parts.cpus < count) {
        struct kvm_cpu *cpu = &k->parts.cpu[k->parts.cpus];

        ret = kvm_cpu_open(cpu, &k->vm, k->parts.cpus, err);
        k->parts.cpus++;
    }
    return ret;
}

int kvm_guest_make_threads(struct kvm_guest *k, struct ferry_error *err)
{
    const struct kvm_machine machine = {
        .plan = &k->parts.plan,
        .spec = &k->state.spec,
        .ram = k->ram.host,
        .cpu = k->parts.cpu,
        .ring = k->parts.ring,
        .findings = &k->findings,
    };

    k->parts.threads = kvm_threads_new(&machine, err);
    return k->parts.threads ? 0 : -EAGAIN;
}

static int make_bitmap_log(struct kvm_guest *k, struct ferry_error *err)
{
    k->parts.log = ferry_kvm_log_new(k->vm.fd, &k->vm.slot, 1, err);
    return k->parts.log ? ferry_guest_add_tracker(k->ferry, &ferry_kvm_log_ops, k->parts.log, err) : -ENOMEM;
}

static int make_ring(struct kvm_guest *k, struct ferry_error *err)
{
    int fds[SPEC_THREADS_MAX];

    for (unsigned i = 0; i < k->parts.cpus; i++)
        fds[i] = k->parts.cpu[i].fd;
    k->parts.ring = ferry_kvm_ring_new(k->vm.fd, fds, k->parts.cpus, k->vm.ring_entries, &k->vm.slot, 1, err);
    return k->parts.ring ? ferry_guest_add_tracker(k->ferry, &ferry_kvm_ring_ops, k->parts.ring, err) : -ENOMEM;
}

/* At the source.  At the destination there is no such thing: should the guest move on from there, it is tracked by
 * userfaultfd. */
static int make_tracker(struct kvm_guest *k, struct ferry_error *err)
{
    switch (k->state.spec.dirty_log) {
    case SPEC_LOG_UFFD:
        return 0; /* Ferry's own */
    case SPEC_LOG_RING:
        return make_ring(k, err);
    default:
        return make_bitmap_log(k, err);
    }
}

/* ---- making and freeing ------------------------------------------------------------------------------------------ */

void kvm_guest_free(struct bench_guest *base)
{
    struct kvm_guest *k = (struct kvm_guest *)base;

    kvm_threads_free(k->parts.threads);
    ferry_guest_free(k->ferry);
    ferry_kvm_log_free(k->parts.log);
    ferry_kvm_ring_free(k->parts.ring);
    while (k->parts.cpus > 0)
        kvm_cpu_close(&k->parts.cpu[--k->parts.cpus]);
    kvm_vm_close(&k->vm);
    mapping_unmap(&k->ram);
    free(k->state.cpu);
    findings_destroy(&k->findings);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static struct kvm_guest *make_empty(struct ferry_error *err)
{
    struct kvm_guest *k = calloc(1, sizeof(*k));

    if (!k || pthread_mutex_init(&k->lock, NULL) != 0)
        goto fail;
    if (findings_init(&k->findings) < 0) {
        pthread_mutex_destroy(&k->lock);
        goto fail;
    }
    k->base.ops = &kvm_guest_ops;
    k->state.ops = &kvm_guest_state_ops;
    k->state.opaque = k;
    k->arrival.host_ns = -1;
    kvm_vm_init(&k->vm);
    for (unsigned i = 0; i < SPEC_THREADS_MAX; i++)
        kvm_cpu_init(&k->parts.cpu[i]);
    return k;
fail:
    free(k);
    ferry_error_set(err, -ENOMEM, "out of memory for a guest");
    return NULL;
}

/* What both ends have: a virtual machine without memory, and a device. */
static struct kvm_guest *make_common(struct ferry_error *err)
{
    struct kvm_guest *k = make_empty(err);

    if (!k)
        return NULL;
    k->ferry = ferry_guest_new(MACHINE, &kvm_guest_ferry_ops, k, err);
    if (k->ferry && ferry_guest_add_device(k->ferry, &kvm_state_desc, &k->state, NULL, 0, err) == 0 &&
        kvm_vm_open(&k->vm, err) == 0) {
        k->state.cpuid_here = k->vm.cpuid_digest;
        return k;
    }
    kvm_guest_free(&k->base);
    return NULL;
}

static int make_memory(struct kvm_guest *k, struct ferry_error *err)
{
    const struct guest_spec *spec = &k->state.spec;
    struct ferry_block block = { .name = KVM_RAM_NAME, .page_size = FERRY_PAGE_BYTES, .flags = FERRY_BLOCK_PRIVATE };
    int ret = mapping_map(&k->ram, spec->size_bytes, spec->huge ? MAPPING_HUGE : 0, err);

    if (ret < 0)
        return ret;
    kvm_fill(&k->parts.plan, k->ram.host);
    block.host = k->ram.host;
    block.length = k->ram.bytes;
    k->state.ram_bytes = k->ram.bytes;
    ret = kvm_vm_set_memory(&k->vm, &k->ram, err);
    return ret < 0 ? ret : ferry_guest_add_block(k->ferry, &block, err);
}

static int make_cpus(struct kvm_guest *k, struct ferry_error *err)
{
    struct kvm_state *state = &k->state;
    int ret = 0;

    if (state->spec.dirty_log == SPEC_LOG_RING) {
        ret = ferry_kvm_ring_enable(k->vm.fd, RING_ENTRIES, err);
        k->vm.ring_entries = ret > 0 ? (unsigned)ret : 0;
    }
    state->cpu_count = state->spec.threads;
    state->cpuid = state->cpuid_here;
    state->cpu = calloc(state->cpu_count, sizeof(*state->cpu));
    if (!state->cpu)
        return ferry_error_set(err, -ENOMEM, "out of memory for the state of %" PRIu32 " vCPUs", state->cpu_count);
    if (ret >= 0)
        ret = kvm_guest_open_cpus(k, state->cpu_count, err);
    for (unsigned i = 0; ret == 0 && i < k->parts.cpus; i++)
        ret = kvm_cpu_reset(&k->parts.cpu[i], &k->vm, &k->parts.plan, i, err);
    return ret < 0 ? ret : kvm_cpu_tsc_khz(&k->parts.cpu[0], &state->time.tsc_khz, err);
}

static int make_source(struct kvm_guest *k, struct ferry_error *err)
{
    int ret = make_memory(k, err);

    if (ret == 0)
        ret = make_cpus(k, err);
    if (ret == 0)
        ret = make_tracker(k, err);
    if (ret == 0)
        ret = kvm_guest_make_threads(k, err);
    if (ret == 0)
        ret = kvm_guest_read_state(k, err);
    k->state.loaded = true;
    return ret;
}

struct bench_guest *kvm_guest_create(const char *keys, struct ferry_error *err)
{
    struct guest_spec spec;
    struct kvm_plan plan;
    struct kvm_guest *k;

    if (spec_parse(keys, &spec, err) < 0 || kvm_plan_make(&plan, &spec, err) < 0)
        return NULL;
    k = make_common(err);
    if (!k)
        return NULL;
    k->state.spec = spec;
    k->parts.plan = plan;
    if (make_source(k, err) == 0)
        return &k->base;
    kvm_guest_free(&k->base);
    return NULL;
}

/* The first vCPU takes a while, so it is there before the guest is waited for. */
struct bench_guest *kvm_guest_incoming(struct ferry_error *err)
{
    struct kvm_guest *k = make_common(err);

    if (!k)
        return NULL;
    k->state.spec.hot_share_percent = 100; /* not on the wire: such a guest writes nowhere else */
    if (kvm_guest_open_cpus(k, 1, err) == 0)
        return &k->base;
    kvm_guest_free(&k->base);
    return NULL;
}
