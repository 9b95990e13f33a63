/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_cpu.c - one vCPU, and its state in and out of KVM */
#include "kvm_cpu.h"

#include "kvm_program.h"
#include "log.h"

#include <errno.h>
#include <ferry/memory.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MSR_TSC 0x10

/* Protected mode and paging, the FPU's errors as exceptions; SSE; long mode, and no-execute is known. */
#define CR0_LONG  UINT64_C(0x80050033)
#define CR4_LONG  UINT64_C(0x620)
#define EFER_LONG UINT64_C(0xd00)
#define FLAGS     UINT64_C(2)
#define TSS_LIMIT (104 + KVM_PORT_ENDS / 8)
#define CODE_TYPE 11
#define DATA_TYPE 3
#define TSS_TYPE  11
#define CODE_3    0x33
#define DATA_3    0x2b
#define TSS       0x40
#define NEVER_YET (UINT64_C(1) << 63) /* no beat has this number */
#define TSC_CLOSE 10                  /* ms: what is read back after a set may be so far off */

#define SAME_SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), #ours " mirrors " #theirs)

SAME_SIZE(struct kvm_state_regs, struct kvm_regs);
SAME_SIZE(struct kvm_state_segment, struct kvm_segment);
SAME_SIZE(struct kvm_state_dtable, struct kvm_dtable);
SAME_SIZE(struct kvm_state_sregs, struct kvm_sregs);
SAME_SIZE(struct kvm_state_events, struct kvm_vcpu_events);
SAME_SIZE(struct kvm_state_debug, struct kvm_debugregs);
SAME_SIZE(((struct kvm_cpu_state *)0)->xsave, struct kvm_xsave);
_Static_assert(offsetof(struct kvm_state_regs, rip) == offsetof(struct kvm_regs, rip), "rip");
_Static_assert(offsetof(struct kvm_state_sregs, control) == offsetof(struct kvm_sregs, cr0), "cr0");
_Static_assert(offsetof(struct kvm_state_events, smi) == offsetof(struct kvm_vcpu_events, smi), "smi");
_Static_assert(KVM_XCRS_MAX == KVM_MAX_XCRS, "xcrs");

/* As struct kvm_msrs, with room. */
struct msrs {
    uint32_t count, pad;
    struct kvm_msr_entry entry[KVM_MSRS_MAX];
};

_Static_assert(offsetof(struct msrs, entry) == sizeof(struct kvm_msrs), "entries");

static int failed(const char *what, int rc, struct ferry_error *err)
{
    return ferry_error_set(err, rc, "%s of a vCPU: %s", what, strerror(-rc));
}

/* ---- made and freed ---------------------------------------------------------------------------------------------- */

void kvm_cpu_init(struct kvm_cpu *cpu)
{
    *cpu = (struct kvm_cpu){ .fd = -1 };
}

int kvm_cpu_open(struct kvm_cpu *cpu, const struct kvm_vm *vm, unsigned index, struct ferry_error *err)
{
    void *at;
    int rc;

    cpu->fd = kvm_vm_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index);
    if (cpu->fd < 0)
        return ferry_error_set(err, cpu->fd, "KVM makes no vCPU %u: %s", index, strerror(-cpu->fd));
    at = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
    if (at == MAP_FAILED)
        return ferry_error_set(err, -errno, "vCPU %u cannot be mapped: %s", index, strerror(errno));
    cpu->run = at;
    cpu->run_bytes = vm->run_bytes;
    rc = kvm_vm_ioctl(cpu->fd, KVM_SET_CPUID2, vm->cpuid);
    return rc < 0 ? failed("the CPUID", rc, err) : 0;
}

void kvm_cpu_close(struct kvm_cpu *cpu)
{
    if (cpu->run)
        munmap(cpu->run, cpu->run_bytes);
    if (cpu->fd >= 0)
        close(cpu->fd);
    kvm_cpu_init(cpu);
}

int kvm_cpu_tsc_khz(const struct kvm_cpu *cpu, uint32_t *khz, struct ferry_error *err)
{
    int rc = kvm_vm_ioctl(cpu->fd, KVM_GET_TSC_KHZ, NULL);

    if (rc <= 0)
        return failed("the time stamp counter's frequency", rc < 0 ? rc : -ENOTSUP, err);
    *khz = (uint32_t)rc;
    return 0;
}

bool kvm_cpu_set_tsc_khz(const struct kvm_cpu *cpu, uint32_t khz)
{
    uint32_t here = 0, apart;

    if (kvm_cpu_tsc_khz(cpu, &here, NULL) < 0)
        return false;
    apart = here > khz ? here - khz : khz - here;
    return apart <= khz / 10000 || kvm_vm_ioctl(cpu->fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz) >= 0;
}

static void reset_segments(struct kvm_sregs *sregs, const struct kvm_plan *plan)
{
    struct kvm_segment segment = { .limit = UINT32_MAX, .present = 1, .dpl = 3, .s = 1, .g = 1 };

    segment.type = CODE_TYPE;
    segment.selector = CODE_3;
    segment.l = 1;
    sregs->cs = segment;
    segment.type = DATA_TYPE;
    segment.selector = DATA_3;
    segment.l = 0;
    segment.db = 1;
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment;
    sregs->tr = (struct kvm_segment){
        .base = kvm_plan_address(plan->tss),
        .limit = TSS_LIMIT,
        .selector = TSS,
        .type = TSS_TYPE,
        .present = 1,
    };
    sregs->ldt = (struct kvm_segment){ .unusable = 1 };
    sregs->gdt = (struct kvm_dtable){ 0 };
    sregs->idt = (struct kvm_dtable){ 0 };
}

int kvm_cpu_reset(const struct kvm_cpu *cpu, const struct kvm_vm *vm, const struct kvm_plan *plan, unsigned index,
                  struct ferry_error *err)
{
    struct kvm_regs regs = {
        .rip = kvm_plan_address(plan->program),
        .rflags = FLAGS,
        .rbp = kvm_plan_address(plan->cpu + index),
        .r10 = 1,
        .r11 = plan->share[index].written,
    };
    uint64_t *page = (uint64_t *)((uint8_t *)vm->slot.host + regs.rbp);
    struct kvm_sregs sregs;
    int rc = kvm_vm_ioctl(cpu->fd, KVM_GET_SREGS, &sregs);

    if (rc < 0)
        return failed("the system registers", rc, err);
    reset_segments(&sregs, plan);
    sregs.cr0 = CR0_LONG;
    sregs.cr3 = kvm_plan_tables(plan);
    sregs.cr4 = CR4_LONG;
    sregs.efer = EFER_LONG;
    rc = kvm_vm_ioctl(cpu->fd, KVM_SET_SREGS, &sregs);
    if (rc < 0)
        return failed("the system registers", rc, err);
    rc = kvm_vm_ioctl(cpu->fd, KVM_SET_REGS, &regs);
    if (rc < 0)
        return failed("the registers", rc, err);
    page[KVM_PAGE_RESUMED / 8] = NEVER_YET;
    return 0;
}

/* ---- out of KVM -------------------------------------------------------------------------------------------------- */

/* One that this KVM lacks is left out: zero, so that it cannot be told from what was never there. */
static void get_part(const struct kvm_cpu *cpu, struct kvm_cpu_state *state, enum kvm_part part, unsigned long request,
                     void *to, size_t bytes)
{
    int rc = kvm_vm_ioctl(cpu->fd, request, to);

    if (rc < 0) {
        log_info(LOG_STATE, "this KVM lacks part %d of a vCPU's state: %s", part, strerror(-rc));
        memset(to, 0, bytes);
    } else {
        state->parts |= part;
    }
}

static void get_xcrs(const struct kvm_cpu *cpu, struct kvm_cpu_state *state)
{
    struct kvm_xcrs xcrs = { 0 };

    get_part(cpu, state, KVM_PART_XCRS, KVM_GET_XCRS, &xcrs, sizeof(xcrs));
    for (state->xcr_count = 0; state->xcr_count < xcrs.nr_xcrs && state->xcr_count < KVM_XCRS_MAX; state->xcr_count++)
        state->xcr[state->xcr_count] =
            (struct kvm_state_xcr){ xcrs.xcrs[state->xcr_count].xcr, xcrs.xcrs[state->xcr_count].value };
}

/* KVM stops at the first that it cannot read; that one is left out. */
static void get_msrs(const struct kvm_cpu *cpu, const struct kvm_vm *vm, struct kvm_cpu_state *state)
{
    struct msrs msrs = { 0 };
    unsigned at = 0;

    state->msr_count = 0;
    while (at < vm->msr_count) {
        unsigned asked = vm->msr_count - at;
        int got;

        for (unsigned i = 0; i < asked; i++)
            msrs.entry[i] = (struct kvm_msr_entry){ .index = vm->msr[at + i] };
        msrs.count = asked;
        got = kvm_vm_ioctl(cpu->fd, KVM_GET_MSRS, &msrs);
        if (got < 0)
            got = 0;
        for (int i = 0; i < got; i++)
            state->msr[state->msr_count++] = (struct kvm_state_msr){ msrs.entry[i].index, msrs.entry[i].data };
        at += (unsigned)got;
        if ((unsigned)got < asked)
            at++;
    }
}

int kvm_cpu_get(const struct kvm_cpu *cpu, const struct kvm_vm *vm, struct kvm_cpu_state *state,
                struct ferry_error *err)
{
    struct kvm_mp_state mp_state = { 0 };
    int rc;

    memset(state, 0, sizeof(*state));
    rc = kvm_vm_ioctl(cpu->fd, KVM_GET_REGS, &state->regs);
    if (rc < 0)
        return failed("the registers", rc, err);
    rc = kvm_vm_ioctl(cpu->fd, KVM_GET_SREGS, &state->sregs);
    if (rc < 0)
        return failed("the system registers", rc, err);
    rc = kvm_vm_ioctl(cpu->fd, KVM_GET_XSAVE, state->xsave);
    if (rc < 0)
        return failed("the floating point and vector registers", rc, err);
    state->parts = KVM_PART_XSAVE;
    get_xcrs(cpu, state);
    get_part(cpu, state, KVM_PART_EVENTS, KVM_GET_VCPU_EVENTS, &state->events, sizeof(state->events));
    get_part(cpu, state, KVM_PART_DEBUG, KVM_GET_DEBUGREGS, &state->debug, sizeof(state->debug));
    get_part(cpu, state, KVM_PART_MP_STATE, KVM_GET_MP_STATE, &mp_state, sizeof(mp_state));
    state->mp_state = mp_state.mp_state;
    get_msrs(cpu, vm, state);
    return 0;
}

/* ---- into KVM ---------------------------------------------------------------------------------------------------- */

/* The guest runs without it, so a KVM that refuses is told of, no more. */
static void set_part(const struct kvm_cpu *cpu, const struct kvm_cpu_state *state, enum kvm_part part,
                     unsigned long request, const void *from)
{
    int rc = state->parts & part ? kvm_vm_ioctl(cpu->fd, request, (void *)(uintptr_t)from) : 0;

    if (rc < 0)
        log_warn(LOG_STATE, "this KVM refuses part %d of a vCPU's state: %s", part, strerror(-rc));
}

static void set_xcrs(const struct kvm_cpu *cpu, const struct kvm_cpu_state *state)
{
    struct kvm_xcrs xcrs = { .nr_xcrs = state->xcr_count };

    for (unsigned i = 0; i < state->xcr_count; i++) {
        xcrs.xcrs[i].xcr = state->xcr[i].xcr;
        xcrs.xcrs[i].value = state->xcr[i].value;
    }
    set_part(cpu, state, KVM_PART_XCRS, KVM_SET_XCRS, &xcrs);
}

/* The same, for those that the guest never touches. */
static void set_msrs(const struct kvm_cpu *cpu, const struct kvm_cpu_state *state)
{
    struct msrs msrs = { 0 };
    unsigned at = 0;

    while (at < state->msr_count) {
        unsigned asked = state->msr_count - at;
        int done;

        for (unsigned i = 0; i < asked; i++)
            msrs.entry[i] =
                (struct kvm_msr_entry){ .index = state->msr[at + i].index, .data = state->msr[at + i].value };
        msrs.count = asked;
        done = kvm_vm_ioctl(cpu->fd, KVM_SET_MSRS, &msrs);
        at += done > 0 ? (unsigned)done : 0;
        if (done < (int)asked) {
            log_warn(LOG_STATE, "this KVM refuses %#llx in the register %#x", (unsigned long long)state->msr[at].value,
                     (unsigned)state->msr[at].index);
            at++;
        }
    }
}

int kvm_cpu_set(const struct kvm_cpu *cpu, const struct kvm_cpu_state *state, struct ferry_error *err)
{
    const struct kvm_mp_state mp_state = { .mp_state = state->mp_state };
    struct kvm_cpu_state copy = *state; /* KVM takes no const */
    int rc = kvm_vm_ioctl(cpu->fd, KVM_SET_SREGS, &copy.sregs);

    if (rc < 0)
        return failed("the system registers", rc, err);
    set_xcrs(cpu, state);
    rc = kvm_vm_ioctl(cpu->fd, KVM_SET_XSAVE, copy.xsave);
    if (rc < 0)
        return failed("the floating point and vector registers", rc, err);
    rc = kvm_vm_ioctl(cpu->fd, KVM_SET_REGS, &copy.regs);
    if (rc < 0)
        return failed("the registers", rc, err);
    set_msrs(cpu, state);
    set_part(cpu, state, KVM_PART_DEBUG, KVM_SET_DEBUGREGS, &state->debug);
    set_part(cpu, state, KVM_PART_MP_STATE, KVM_SET_MP_STATE, &mp_state);
    set_part(cpu, state, KVM_PART_EVENTS, KVM_SET_VCPU_EVENTS, &state->events);
    return 0;
}

/* ---- the time stamp counter -------------------------------------------------------------------------------------- */

static bool read_tsc(const struct kvm_cpu *cpu, uint64_t *tsc)
{
    struct msrs msrs = { .count = 1, .entry[0].index = MSR_TSC };

    if (kvm_vm_ioctl(cpu->fd, KVM_GET_MSRS, &msrs) != 1)
        return false;
    *tsc = msrs.entry[0].data;
    return true;
}

uint64_t kvm_cpu_get_tsc(const struct kvm_cpu *cpu, uint64_t seen)
{
    uint64_t tsc;

    return read_tsc(cpu, &tsc) && tsc >= seen ? tsc : __builtin_ia32_rdtsc();
}

bool kvm_cpu_set_tsc(const struct kvm_cpu *cpu, uint64_t tsc, uint32_t khz)
{
    struct msrs msrs = { .count = 1, .entry[0] = { .index = MSR_TSC, .data = tsc } };
    uint64_t now;

    return kvm_vm_ioctl(cpu->fd, KVM_SET_MSRS, &msrs) == 1 && read_tsc(cpu, &now) && now >= tsc &&
           now - tsc < (uint64_t)khz * TSC_CLOSE;
}
