/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_guest.h - what a kvm guest is made of; its parts in three files
 *
 *      kvm.c            runs it, checks it, and answers for it
 *      kvm_make.c       makes it: at the source with memory, at the destination as a machine that waits for some
 *      kvm_state_io.c   its state: read from KVM, put into KVM, and its time
 */
#ifndef BENCH_KVM_GUEST_H
#define BENCH_KVM_GUEST_H

#include "guest_ops.h"
#include "kvm_threads.h"

/* What follows from memory and state. */
struct kvm_parts {
    struct kvm_plan plan;
    struct kvm_cpu cpu[SPEC_THREADS_MAX];
    unsigned cpus; /* open */
    struct kvm_threads *threads;
    struct ferry_kvm_log *log;
    struct ferry_kvm_ring *ring;
};

/* How the guest's time goes on here. */
struct kvm_arrival {
    bool pending;          /* the next start is the first one here */
    bool by_wall_clock;    /* the sides share no monotonic clock */
    bool own_tsc;          /* the guest's counter was set: the gap that it saw is right */
    int64_t host_ns;       /* the blackout by the hosts' clocks; -1: none */
    uint64_t pages_before; /* written elsewhere */
};

struct kvm_guest {
    struct bench_guest base;
    pthread_mutex_t lock; /* guards the rest, but not what the threads do while they run */
    struct ferry_guest *ferry;
    struct kvm_state state;
    struct mapping ram;
    struct kvm_vm vm;
    struct kvm_parts parts;
    struct kvm_arrival arrival;
    struct findings findings;
    int64_t running_since_ns; /* 0: stands still */
    int64_t ran_ns;           /* before that */
};

/* What a vCPU shows of itself at an offset of its page (kvm_program.h), while it runs; and setting that while it stands
 * still. */
uint64_t kvm_guest_shown(const struct kvm_guest *k, unsigned cpu, unsigned offset);
void kvm_guest_show(struct kvm_guest *k, unsigned cpu, unsigned offset, uint64_t value);

/* Of the guest's time stamp counter. */
int64_t kvm_guest_ns(const struct kvm_guest *k, uint64_t ticks);

/* ---- kvm_make.c; with the lock held, or while nobody else has the guest ----------------------------------------- */

/* vCPUs up to so many. */
int kvm_guest_open_cpus(struct kvm_guest *k, unsigned count, struct ferry_error *err);

/* Once there are memory, plan and vCPUs. */
int kvm_guest_make_threads(struct kvm_guest *k, struct ferry_error *err);

struct bench_guest *kvm_guest_create(const char *keys, struct ferry_error *err);
struct bench_guest *kvm_guest_incoming(struct ferry_error *err);
void kvm_guest_free(struct bench_guest *base);

/* ---- kvm_state_io.c; with the lock held, while the guest stands still -------------------------------------------- */

extern const struct kvm_state_ops kvm_guest_state_ops;

/* From KVM into k->state. */
int kvm_guest_read_state(struct kvm_guest *k, struct ferry_error *err);

/* Before the first start after a load: its clocks go on by what has passed since they were read on the other side. */
void kvm_guest_arrive(struct kvm_guest *k);

/* ---- kvm.c ------------------------------------------------------------------------------------------------------- */

extern const struct ferry_guest_ops kvm_guest_ferry_ops;

#endif
