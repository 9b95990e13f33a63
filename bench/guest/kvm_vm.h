/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_vm.h - a virtual machine of /dev/kvm: its memory, its clock, and what its vCPUs can do */
#ifndef BENCH_KVM_VM_H
#define BENCH_KVM_VM_H

#include "kvm_state.h"
#include "mapping.h"

#include <ferry/error.h>
#include <ferry/kvm.h>

#define KVM_RAM_NAME "kvm.ram"

struct kvm_cpuid2;

struct kvm_vm {
    int kvm_fd, fd;           /* -1: not open */
    size_t run_bytes;         /* of what each vCPU shares with this process */
    struct kvm_cpuid2 *cpuid; /* owned; what vCPUs are given: all that this KVM supports */
    uint64_t cpuid_digest;
    unsigned ring_entries; /* 0: there are no dirty rings */
    unsigned msr_count;    /* the registers that are saved: those of our list that this KVM has */
    uint32_t msr[KVM_MSRS_MAX];
    struct ferry_kvm_slot slot; /* length 0: no memory yet */
};

/* Not open, and kvm_vm_close() is legal. */
void kvm_vm_init(struct kvm_vm *vm);

/* Where there is no KVM the error says so, with a hint. */
int kvm_vm_open(struct kvm_vm *vm, struct ferry_error *err);
void kvm_vm_close(struct kvm_vm *vm);

/* @ram: from address 0 on; borrowed until the VM is closed. */
int kvm_vm_set_memory(struct kvm_vm *vm, const struct mapping *ram, struct ferry_error *err);

/* KVM's clock; what cannot be read is 0, what cannot be set is left alone. */
uint64_t kvm_vm_get_clock(const struct kvm_vm *vm);
void kvm_vm_set_clock(const struct kvm_vm *vm, uint64_t ns);

/* An ioctl that is asked again when interrupted; a negative errno instead of -1. */
int kvm_vm_ioctl(int fd, unsigned long request, void *arg);

#endif
