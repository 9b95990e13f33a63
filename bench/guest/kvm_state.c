/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_state.c - the KVM guest's device state: what it is like, its clock, and all that its vCPUs know */
#include "kvm_state.h"

#include "kvm_plan.h"

#include <errno.h>
#include <inttypes.h>

/* ---- a vCPU ------------------------------------------------------------------------------------------------------ */

static const struct ferry_field segment_fields[] = {
    FERRY_U64(base, struct kvm_state_segment),
    FERRY_U32(limit, struct kvm_state_segment),
    FERRY_U16(selector, struct kvm_state_segment),
    FERRY_U8(type, struct kvm_state_segment),
    FERRY_U8(present, struct kvm_state_segment),
    FERRY_U8(dpl, struct kvm_state_segment),
    FERRY_U8(db, struct kvm_state_segment),
    FERRY_U8(s, struct kvm_state_segment),
    FERRY_U8(l, struct kvm_state_segment),
    FERRY_U8(g, struct kvm_state_segment),
    FERRY_U8(avl, struct kvm_state_segment),
    FERRY_U8(unusable, struct kvm_state_segment),
    FERRY_END,
};

static const struct ferry_state_desc segment_desc = {
    .name = "kvm-segment",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_state_segment),
    .fields = segment_fields,
};

static const struct ferry_field dtable_fields[] = {
    FERRY_U64(base, struct kvm_state_dtable),
    FERRY_U16(limit, struct kvm_state_dtable),
    FERRY_END,
};

static const struct ferry_state_desc dtable_desc = {
    .name = "kvm-dtable",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_state_dtable),
    .fields = dtable_fields,
};

static const struct ferry_field xcr_fields[] = {
    FERRY_U32(xcr, struct kvm_state_xcr),
    FERRY_U64(value, struct kvm_state_xcr),
    FERRY_END,
};

static const struct ferry_state_desc xcr_desc = {
    .name = "kvm-xcr",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_state_xcr),
    .fields = xcr_fields,
};

static const struct ferry_field msr_fields[] = {
    FERRY_U32(index, struct kvm_state_msr),
    FERRY_U64(value, struct kvm_state_msr),
    FERRY_END,
};

static const struct ferry_state_desc msr_desc = {
    .name = "kvm-msr",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_state_msr),
    .fields = msr_fields,
};

#define CPU_U64(member)     FERRY_U64(member, struct kvm_cpu_state)
#define CPU_SEGMENT(member) FERRY_STRUCT(member, struct kvm_cpu_state, segment_desc, struct kvm_state_segment)
#define CPU_DTABLE(member)  FERRY_STRUCT(member, struct kvm_cpu_state, dtable_desc, struct kvm_state_dtable)

/* Of a part that this KVM lacks, what is in the members is zero. */
static const struct ferry_field cpu_fields[] = {
    FERRY_U32(parts, struct kvm_cpu_state),
    CPU_U64(regs.rax),
    CPU_U64(regs.rbx),
    CPU_U64(regs.rcx),
    CPU_U64(regs.rdx),
    CPU_U64(regs.rsi),
    CPU_U64(regs.rdi),
    CPU_U64(regs.rsp),
    CPU_U64(regs.rbp),
    CPU_U64(regs.r8),
    CPU_U64(regs.r9),
    CPU_U64(regs.r10),
    CPU_U64(regs.r11),
    CPU_U64(regs.r12),
    CPU_U64(regs.r13),
    CPU_U64(regs.r14),
    CPU_U64(regs.r15),
    CPU_U64(regs.rip),
    CPU_U64(regs.rflags),
    CPU_SEGMENT(sregs.cs),
    CPU_SEGMENT(sregs.ds),
    CPU_SEGMENT(sregs.es),
    CPU_SEGMENT(sregs.fs),
    CPU_SEGMENT(sregs.gs),
    CPU_SEGMENT(sregs.ss),
    CPU_SEGMENT(sregs.tr),
    CPU_SEGMENT(sregs.ldt),
    CPU_DTABLE(sregs.gdt),
    CPU_DTABLE(sregs.idt),
    CPU_U64(sregs.control.cr0),
    CPU_U64(sregs.control.cr2),
    CPU_U64(sregs.control.cr3),
    CPU_U64(sregs.control.cr4),
    CPU_U64(sregs.control.cr8),
    CPU_U64(sregs.control.efer),
    CPU_U64(sregs.control.apic_base),
    FERRY_ARRAY(sregs.control.interrupt_bitmap, struct kvm_cpu_state, 4, U64),
    FERRY_ARRAY(events.exception, struct kvm_cpu_state, 4, U8),
    FERRY_U32(events.error_code, struct kvm_cpu_state),
    FERRY_ARRAY(events.interrupt, struct kvm_cpu_state, 4, U8),
    FERRY_ARRAY(events.nmi, struct kvm_cpu_state, 4, U8),
    FERRY_U32(events.sipi_vector, struct kvm_cpu_state),
    FERRY_U32(events.flags, struct kvm_cpu_state),
    FERRY_ARRAY(events.smi, struct kvm_cpu_state, 4, U8),
    FERRY_U8(events.triple_fault, struct kvm_cpu_state),
    FERRY_U8(events.exception_has_payload, struct kvm_cpu_state),
    CPU_U64(events.exception_payload),
    FERRY_ARRAY(debug.db, struct kvm_cpu_state, 4, U64),
    CPU_U64(debug.dr6),
    CPU_U64(debug.dr7),
    CPU_U64(debug.flags),
    FERRY_U32(mp_state, struct kvm_cpu_state),
    FERRY_U32(xcr_count, struct kvm_cpu_state),
    FERRY_STRUCT_VARRAY(xcr, struct kvm_cpu_state, xcr_count, xcr_desc, struct kvm_state_xcr),
    FERRY_U32(msr_count, struct kvm_cpu_state),
    FERRY_STRUCT_VARRAY(msr, struct kvm_cpu_state, msr_count, msr_desc, struct kvm_state_msr),
    CPU_U64(tsc),
    FERRY_BUFFER(xsave, struct kvm_cpu_state),
    FERRY_END,
};

static const struct ferry_state_desc cpu_desc = {
    .name = "kvm-cpu",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_cpu_state),
    .fields = cpu_fields,
};

/* ---- the machine ------------------------------------------------------------------------------------------------- */

/* Asked before the vCPUs are allocated. */
static bool cpus_fit(void *opaque, int version)
{
    const struct kvm_state *state = opaque;

    return state->cpu_count > 0 && state->cpu_count <= SPEC_THREADS_MAX && state->cpu_count == state->spec.threads;
}

static const struct ferry_field fields[] = {
    FERRY_U64(spec.size_bytes, struct kvm_state),
    FERRY_U64(spec.dirty_bytes_per_sec, struct kvm_state),
    FERRY_U64(spec.seed, struct kvm_state),
    FERRY_U32(spec.hot_percent, struct kvm_state),
    FERRY_U32(spec.zero_percent, struct kvm_state),
    FERRY_U32(spec.threads, struct kvm_state),
    FERRY_U8(spec.pattern, struct kvm_state),
    FERRY_U8(spec.content, struct kvm_state),
    FERRY_BOOL(spec.huge, struct kvm_state),
    FERRY_U64(heart.beats, struct kvm_state),
    FERRY_U64(heart.largest_gap_ns, struct kvm_state),
    FERRY_I64(heart.last_ns, struct kvm_state),
    FERRY_I64(heart.last_wall_ns, struct kvm_state),
    FERRY_U64(heart.boot, struct kvm_state),
    FERRY_U64(time.clock_ns, struct kvm_state),
    FERRY_U32(time.tsc_khz, struct kvm_state),
    FERRY_I64(time.ns, struct kvm_state),
    FERRY_I64(time.wall_ns, struct kvm_state),
    FERRY_U64(cpuid, struct kvm_state),
    FERRY_U32(cpu_count, struct kvm_state),
    FERRY_VALIDATE("a vCPU for each thread", cpus_fit),
    FERRY_STRUCT_ALLOC_VARRAY(cpu, struct kvm_state, cpu_count, SPEC_THREADS_MAX, cpu_desc, struct kvm_cpu_state),
    FERRY_END,
};

static bool has_bursts(void *opaque)
{
    return ((const struct kvm_state *)opaque)->spec.pattern == SPEC_BURSTS;
}

static const struct ferry_field burst_fields[] = { FERRY_U64(spec.burst_ns, struct kvm_state),
                                                   FERRY_U64(spec.pause_ns, struct kvm_state), FERRY_END };

/* A guest that does not write in bursts is as it always was. */
static const struct ferry_state_desc burst_desc = {
    .name = "kvm/bursts",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_state),
    .fields = burst_fields,
    .hooks = { .needed = has_bursts },
};

static const struct ferry_state_desc *const subsections[] = { &burst_desc, NULL };

static int state_pre_save(void *opaque, struct ferry_error *err)
{
    struct kvm_state *state = opaque;

    return state->ops->saving(state->opaque, err);
}

static int check_host(const struct kvm_state *state, struct ferry_error *err)
{
    if (state->cpuid != state->cpuid_here) {
        ferry_error_set(err, -EINVAL,
                        "the guest's vCPUs have features %016" PRIx64 ", but this host makes vCPUs with %016" PRIx64,
                        state->cpuid, state->cpuid_here);
        ferry_error_hint(err, "a kvm guest moves between hosts whose KVM offers the same CPUID");
        return -EINVAL;
    }
    if (state->time.tsc_khz == 0 || state->time.ns < 0 || state->time.wall_ns < 0)
        return ferry_error_set(err, -EINVAL, "the guest's clock stands still, or is before the beginning of time");
    return 0;
}

static int state_check(const void *copy, int version, struct ferry_error *err)
{
    const struct kvm_state *state = copy;
    struct kvm_plan plan;
    int ret = spec_check(&state->spec, err);

    if (ret == 0)
        ret = kvm_plan_make(&plan, &state->spec, err);
    if (ret == 0 && state->spec.size_bytes != state->ram_bytes)
        ret = ferry_error_set(err, -EINVAL,
                              "the guest's state is about %" PRIu64 " bytes of kvm.ram, but %" PRIu64 " came",
                              state->spec.size_bytes, state->ram_bytes);
    if (ret == 0)
        ret = heart_check(&state->heart, err);
    if (ret == 0)
        ret = check_host(state, err);
    for (uint32_t i = 0; ret == 0 && i < state->cpu_count; i++)
        if (state->cpu[i].parts & ~(uint32_t)KVM_PARTS)
            ret = ferry_error_set(err, -EINVAL, "vCPU %" PRIu32 " has state of a kind not known here", i);
    if (ret == 0 && state->loaded)
        ret = ferry_error_set(err, -EEXIST, "the guest has its state already");
    return ret;
}

static int state_post_load(void *opaque, int version, struct ferry_error *err)
{
    struct kvm_state *state = opaque;

    state->loaded = true;
    return state->ops->loaded(state->opaque, err);
}

const struct ferry_state_desc kvm_state_desc = {
    .name = "kvm",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct kvm_state),
    .fields = fields,
    .subsections = subsections,
    .hooks = { .pre_save = state_pre_save, .check = state_check, .post_load = state_post_load },
};
