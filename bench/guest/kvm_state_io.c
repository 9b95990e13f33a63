/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_state_io.c - the kvm guest's state: read from KVM, put into KVM, and its time */
#include "clock.h"
#include "kvm_guest.h"
#include "kvm_program.h"
#include "log.h"
#include "moment.h"

#include <errno.h>

void kvm_guest_arrive(struct kvm_guest *k)
{
    const struct kvm_state *state = &k->state;
    bool same_boot = state->heart.boot && state->heart.boot == moment_boot();
    int64_t passed = moment_elapsed_ns(state->time.ns, state->time.wall_ns, same_boot);

    k->arrival.pending = false;
    k->arrival.by_wall_clock = !same_boot;
    k->arrival.own_tsc = true;
    kvm_vm_set_clock(&k->vm, state->time.clock_ns + (uint64_t)passed);
    for (unsigned i = 0; i < k->parts.cpus; i++) {
        uint64_t tsc = state->cpu[i].tsc + (uint64_t)((double)passed * state->time.tsc_khz / 1e6);

        kvm_guest_show(k, i, KVM_PAGE_RESUMED, state->cpu[i].regs.r15);
        kvm_guest_show(k, i, KVM_PAGE_BLACKOUT, 0);
        k->arrival.own_tsc &= kvm_cpu_set_tsc(&k->parts.cpu[i], tsc, state->time.tsc_khz);
    }
    if (!k->arrival.own_tsc && !same_boot)
        log_warn(LOG_STATE, "this KVM does not set the time stamp counter: the guest's time jumps");
    if (state->heart.last_ns > 0)
        k->arrival.host_ns = moment_elapsed_ns(state->heart.last_ns, state->heart.last_wall_ns, same_boot);
}

/* With the lock held.  The beats are those of vCPU 0. */
static void read_time(struct kvm_guest *k)
{
    struct kvm_state *state = &k->state;
    const struct kvm_state_regs *first = &state->cpu[0].regs;
    int64_t since_ns;

    state->time.ns = clock_now_ns();
    state->time.wall_ns = moment_wall_ns();
    state->time.clock_ns = kvm_vm_get_clock(&k->vm);
    for (unsigned i = 0; i < k->parts.cpus; i++)
        state->cpu[i].tsc = kvm_cpu_get_tsc(&k->parts.cpu[i], state->cpu[i].regs.r13);
    state->heart = (struct heart_record){ .boot = moment_boot() };
    for (unsigned i = 0; i < k->parts.cpus; i++) {
        int64_t gap = kvm_guest_ns(k, state->cpu[i].regs.r14);

        state->heart.beats += state->cpu[i].regs.r15;
        if ((uint64_t)gap > state->heart.largest_gap_ns)
            state->heart.largest_gap_ns = (uint64_t)gap;
    }
    if (first->r13 == 0)
        return;
    since_ns = state->cpu[0].tsc > first->r13 ? kvm_guest_ns(k, state->cpu[0].tsc - first->r13) : 0;
    state->heart.last_ns = since_ns < state->time.ns ? state->time.ns - since_ns : 1;
    state->heart.last_wall_ns = since_ns < state->time.wall_ns ? state->time.wall_ns - since_ns : 1;
}

int kvm_guest_read_state(struct kvm_guest *k, struct ferry_error *err)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < k->parts.cpus; i++)
        ret = kvm_cpu_get(&k->parts.cpu[i], &k->vm, &k->state.cpu[i], err);
    if (ret == 0)
        read_time(k);
    return ret;
}

/* Also asked for how large the state will be, while the guest runs; what was there last is as large. */
static int state_saving(void *opaque, struct ferry_error *err)
{
    struct kvm_guest *k = opaque;
    int ret = 0;

    pthread_mutex_lock(&k->lock);
    if (!k->parts.threads)
        ret = ferry_error_set(err, -EPROTO, "the kvm guest has no state yet");
    else if (!k->running_since_ns)
        ret = kvm_guest_read_state(k, err);
    pthread_mutex_unlock(&k->lock);
    return ret;
}

static int put_state(struct kvm_guest *k, struct ferry_error *err)
{
    int ret = kvm_plan_make(&k->parts.plan, &k->state.spec, err);

    if (ret == 0)
        ret = kvm_guest_open_cpus(k, k->state.cpu_count, err);
    for (unsigned i = 0; ret == 0 && i < k->parts.cpus; i++) {
        ret = kvm_cpu_set(&k->parts.cpu[i], &k->state.cpu[i], err);
        if (!kvm_cpu_set_tsc_khz(&k->parts.cpu[i], k->state.time.tsc_khz))
            log_warn(LOG_STATE, "this KVM counts time stamps at another rate: the guest's clock goes wrong");
    }
    return ret;
}

static int state_loaded(void *opaque, struct ferry_error *err)
{
    struct kvm_guest *k = opaque;
    int ret;

    pthread_mutex_lock(&k->lock);
    ret = put_state(k, err);
    if (ret == 0)
        ret = kvm_guest_make_threads(k, err);
    for (unsigned i = 0; ret == 0 && i < k->parts.cpus; i++)
        k->arrival.pages_before += k->state.cpu[i].regs.rbx >> KVM_PAGE_LINES_SHIFT;
    k->arrival.pending = true;
    pthread_mutex_unlock(&k->lock);
    return ret;
}

const struct kvm_state_ops kvm_guest_state_ops = { .saving = state_saving, .loaded = state_loaded };
