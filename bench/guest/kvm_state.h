/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_state.h - the KVM guest's device state: what it is like, its clock, and all that its vCPUs know
 *
 * The structs of vCPUs mirror those of <linux/kvm.h>, member for member, with the types that a description can name.
 * A load believes nothing: KVM itself refuses what no CPU can be in, and what the check of the guest's pages needs (the
 * lines written) is a plain number of which every value is legal.
 */
#ifndef BENCH_KVM_STATE_H
#define BENCH_KVM_STATE_H

#include "heart.h"
#include "spec.h"

#include <ferry/state.h>

#define KVM_XCRS_MAX    16
#define KVM_MSRS_MAX    64
#define KVM_XSAVE_BYTES 4096

/* What of a vCPU's state there is: a KVM may lack some.  The numbers are in the state: never reused. */
enum kvm_part {
    KVM_PART_XSAVE = 1,
    KVM_PART_XCRS = 2,
    KVM_PART_EVENTS = 4,
    KVM_PART_DEBUG = 8,
    KVM_PART_MP_STATE = 16,
    KVM_PARTS = 31,
};

struct kvm_state_regs {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags;
};

struct kvm_state_segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint8_t type, present, dpl, db, s, l, g, avl, unusable, padding;
};

struct kvm_state_dtable {
    uint64_t base;
    uint16_t limit;
    uint16_t padding[3];
};

struct kvm_state_control {
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base, interrupt_bitmap[4];
};

/* In the order of struct kvm_sregs. */
struct kvm_state_sregs {
    struct kvm_state_segment cs, ds, es, fs, gs, ss, tr, ldt;
    struct kvm_state_dtable gdt, idt;
    struct kvm_state_control control;
};

/* In the order of struct kvm_vcpu_events. */
struct kvm_state_events {
    uint8_t exception[4]; /* injected, nr, has_error_code, pending */
    uint32_t error_code;
    uint8_t interrupt[4]; /* injected, nr, soft, shadow */
    uint8_t nmi[4];       /* injected, pending, masked */
    uint32_t sipi_vector, flags;
    uint8_t smi[4]; /* smm, pending, smm_inside_nmi, latched_init */
    uint8_t triple_fault;
    uint8_t reserved[26];
    uint8_t exception_has_payload;
    uint64_t exception_payload;
};

/* In the order of struct kvm_debugregs. */
struct kvm_state_debug {
    uint64_t db[4], dr6, dr7, flags, reserved[9];
};

struct kvm_state_xcr {
    uint32_t xcr;
    uint64_t value;
};

struct kvm_state_msr {
    uint32_t index;
    uint64_t value;
};

struct kvm_cpu_state {
    uint32_t parts; /* of enum kvm_part */
    struct kvm_state_regs regs;
    struct kvm_state_sregs sregs;
    struct kvm_state_events events;
    struct kvm_state_debug debug;
    uint32_t mp_state;
    uint32_t xcr_count, msr_count;
    struct kvm_state_xcr xcr[KVM_XCRS_MAX];
    struct kvm_state_msr msr[KVM_MSRS_MAX];
    uint64_t tsc; /* as the guest would have read it at kvm_time.at */
    uint8_t xsave[KVM_XSAVE_BYTES];
};

/* What time it was when everything stood still. */
struct kvm_time {
    uint64_t clock_ns; /* of KVM */
    uint32_t tsc_khz;
    int64_t ns, wall_ns; /* CLOCK_MONOTONIC and CLOCK_REALTIME: when it was that time */
};

struct kvm_state;

/* What the guest does at either end; @opaque is kvm_state.opaque. */
struct kvm_state_ops {
    int (*saving)(void *opaque, struct ferry_error *err); /* bring the members up to date */
    int (*loaded)(void *opaque, struct ferry_error *err); /* the members are new */
};

struct kvm_state {
    /* on the wire */
    struct guest_spec spec;
    struct heart_record heart;
    struct kvm_time time;
    uint64_t cpuid; /* digest of what the vCPUs can do */
    uint32_t cpu_count;
    struct kvm_cpu_state *cpu; /* owned, from malloc */

    /* not on the wire */
    uint64_t ram_bytes;  /* of the memory that is there */
    uint64_t cpuid_here; /* of the vCPUs that this host can make */
    bool loaded;
    const struct kvm_state_ops *ops;
    void *opaque;
};

extern const struct ferry_state_desc kvm_state_desc;

#endif
