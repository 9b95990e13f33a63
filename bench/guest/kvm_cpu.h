/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_cpu.h - one vCPU, and its state in and out of KVM
 *
 * A vCPU is made to stand at the beginning of the program (kvm_program.S) at CPL 3 in long mode: no instruction ever
 * runs at CPL 0, which a KVM without hardware would have to emulate.  Its ports are opened to it by the map in the task
 * state segment, since such a KVM does not keep IOPL.
 *
 * Unless it says otherwise, call these while the vCPU stands still.
 */
#ifndef BENCH_KVM_CPU_H
#define BENCH_KVM_CPU_H

#include "kvm_plan.h"
#include "kvm_vm.h"

struct kvm_run;

struct kvm_cpu {
    int fd;              /* -1: not open */
    struct kvm_run *run; /* mapped */
    size_t run_bytes;
};

/* Not open, and kvm_cpu_close() is legal. */
void kvm_cpu_init(struct kvm_cpu *cpu);
int kvm_cpu_open(struct kvm_cpu *cpu, const struct kvm_vm *vm, unsigned index, struct ferry_error *err);
void kvm_cpu_close(struct kvm_cpu *cpu);

/* Frequency of its time stamp counter. */
int kvm_cpu_tsc_khz(const struct kvm_cpu *cpu, uint32_t *khz, struct ferry_error *err);

/* Have it count at this rate; true also where it does anyway, to a tenth of a per mille. */
bool kvm_cpu_set_tsc_khz(const struct kvm_cpu *cpu, uint32_t khz);

/* As it begins its life: everything of *state but the parts of KVM's that are as KVM made them. */
int kvm_cpu_reset(const struct kvm_cpu *cpu, const struct kvm_vm *vm, const struct kvm_plan *plan, unsigned index,
                  struct ferry_error *err);

/* All of the state; a part that this KVM lacks is left out and zero. */
int kvm_cpu_get(const struct kvm_cpu *cpu, const struct kvm_vm *vm, struct kvm_cpu_state *state,
                struct ferry_error *err);

/* All but the time stamp counter.  A register that this KVM lacks is left out, unless the guest needs it. */
int kvm_cpu_set(const struct kvm_cpu *cpu, const struct kvm_cpu_state *state, struct ferry_error *err);

/**
 * kvm_cpu_get_tsc() - what the guest would read now
 * @seen: the last that it is known to have read
 *
 * A KVM that shows the guest the host's own counter may say anything; then it is the host's.
 */
uint64_t kvm_cpu_get_tsc(const struct kvm_cpu *cpu, uint64_t seen);

/* Let the guest read @tsc now.  False: this KVM does not do that. */
bool kvm_cpu_set_tsc(const struct kvm_cpu *cpu, uint64_t tsc, uint32_t khz);

#endif
