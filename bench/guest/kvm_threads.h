/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_threads.h - a thread for each vCPU: runs it, answers what it asks, and makes it stand still at once
 *
 *      vCPU (kvm_program.S)                 its thread
 *        in PACE ------------------------->   sleep until pages are due or a beat is, 1 ms at most for vCPU 0
 *        <------------ how many pages ------
 *        out BAD ------------------------->   look at the page and note what is wrong with it
 *                                             ring full: empty it
 *
 * Such an exit costs some 40 us with a software KVM, so there is one per millisecond and not one per page; between two
 * of them the vCPU runs by itself.  Unlimited, it never asks.
 *
 * Standing still: whatever a vCPU is at, a signal ends its KVM_RUN between two instructions.  The answer to a question
 * that it still waits for is given, so that nothing is on its way between KVM and here; and one that slept is woken to
 * beat once more, so that a blackout is counted from the stop.
 */
#ifndef BENCH_KVM_THREADS_H
#define BENCH_KVM_THREADS_H

#include "findings.h"
#include "gate.h"
#include "kvm_cpu.h"

struct kvm_threads;

/* What the threads work on; all borrowed. */
struct kvm_machine {
    const struct kvm_plan *plan;
    const struct guest_spec *spec;
    uint8_t *ram;
    struct kvm_cpu *cpu;         /* plan->cpus of them */
    struct ferry_kvm_ring *ring; /* NULL: there are no dirty rings */
    struct findings *findings;
};

/* Standing still.  @machine is copied. */
struct kvm_threads *kvm_threads_new(const struct kvm_machine *machine, struct ferry_error *err);

/* Stops them first.  NULL is legal. */
void kvm_threads_free(struct kvm_threads *threads);

/* Run all vCPUs; and stop them: they stand still when it returns.  One thread at a time. */
void kvm_threads_start(struct kvm_threads *threads);
void kvm_threads_stop(struct kvm_threads *threads);

/* From now on each vCPU runs for 100 - @percent of its time; at most 99.  Thread: any. */
void kvm_threads_throttle(struct kvm_threads *threads, unsigned percent);

/* Whether a vCPU ended by itself: -EIO and what KVM said.  Thread: any. */
int kvm_threads_failed(struct kvm_threads *threads, struct ferry_error *err);

#endif
