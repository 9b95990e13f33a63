/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_check.c - is the KVM guest's memory what its vCPUs' registers say it is? */
#include "kvm_check.h"

#include "crew.h"
#include "kvm_program.h"
#include "zero.h"

#include <ferry/memory.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RAM_NAME     "kvm.ram"
#define CHUNK_PAGES  256
#define PAGE_LINES   UINT64_C(64)
#define XSAVE_SSE    0xa0 /* where xmm0 lies in the XSAVE area */
#define XSAVE_IN_USE 512  /* a bit for each part that is not as at reset: there bit 1 is SSE */
#define XMM_SUMS     15

struct check {
    const struct kvm_plan *plan;
    uint8_t *ram;
    struct findings *findings;
    uint64_t lines[SPEC_THREADS_MAX];
};

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static void check_fixed(const struct check *check, uint64_t page, const uint8_t *at)
{
    uint8_t wanted[FERRY_PAGE_BYTES];
    size_t from = page < check->plan->cpu ? FERRY_PAGE_BYTES : KVM_PAGE_FIXED;
    size_t rest = page < check->plan->cpu ? FERRY_PAGE_BYTES : KVM_PAGE_USED;

    kvm_plan_fixed_page(check->plan, page, wanted);
    if (memcmp(at, wanted, from) || !zero_test(at + rest, FERRY_PAGE_BYTES - rest))
        findings_note(check->findings, CONTENT_DAMAGED, RAM_NAME, page, "is not what the machine was set up with");
}

static void check_page(const struct check *check, uint64_t page)
{
    const uint8_t *at = check->ram + page * FERRY_PAGE_BYTES;
    const struct kvm_content *content = &check->plan->content;
    struct kvm_page_due due = kvm_plan_due(check->plan, page, check->lines);
    enum content_state state;
    char what[192];

    if (due.kind == KVM_PAGE_IS_FIXED) {
        check_fixed(check, page, at);
    } else if (due.kind == KVM_PAGE_IS_ZERO) {
        if (!zero_test(at, FERRY_PAGE_BYTES))
            findings_note(check->findings, CONTENT_DAMAGED, RAM_NAME, page, "should be zero");
    } else {
        state = due.begun ? kvm_content_check_half(content, at, page, due.generation, due.lines)
                          : kvm_content_check(content, at, page, due.generation);
        if (state != CONTENT_GOOD)
            findings_note(check->findings, state, RAM_NAME, page,
                          kvm_content_describe(content, at, page, due.generation, what, sizeof(what)));
    }
}

static void check_chunk(void *opaque, uint64_t index)
{
    const struct check *check = opaque;

    for (uint64_t i = index * CHUNK_PAGES; i < (index + 1) * CHUNK_PAGES && i < check->plan->pages; i++)
        check_page(check, i);
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

static void load_sums(const struct kvm_cpu_state *cpu, uint64_t sums[2])
{
    memset(sums, 0, 16);
    if (cpu->xsave[XSAVE_IN_USE] & 2)
        memcpy(sums, cpu->xsave + XSAVE_SSE + XMM_SUMS * 16, 16);
}

/* The vector registers count the pages, too.  Between the last line of a page and its count they are one behind. */
static const char *check_sums(const struct kvm_plan *plan, const struct kvm_cpu_state *cpu)
{
    uint64_t steps = cpu->regs.rbx / PAGE_LINES, sums[2];
    bool may_lag = cpu->regs.rbx % PAGE_LINES == 0 && steps > 0;

    load_sums(cpu, sums);
    if (sums[0] != steps && !(may_lag && sums[0] == steps - 1))
        return "has vector registers that counted another number of pages";
    if (sums[1] != sums[0] * plan->content.owner)
        return "has vector registers with a wrong sum";
    return NULL;
}

/* What the guest shows of its counters in memory, against the registers: there they were at the last beat, or are being
 * brought up to date. */
static const char *check_shown(const struct kvm_cpu_state *cpu, const uint64_t *shown)
{
    uint64_t behind = cpu->regs.r15 - shown[KVM_PAGE_BEATS / 8];

    if (behind > 1)
        return "shows a number of beats that is not the last";
    if (cpu->regs.rbx - shown[KVM_PAGE_LINES / 8] > PAGE_LINES)
        return "shows a number of lines that is not the last";
    if (shown[KVM_PAGE_LARGEST / 8] > cpu->regs.r14 || (behind == 0 && shown[KVM_PAGE_LARGEST / 8] != cpu->regs.r14))
        return "shows a largest gap that is not the last";
    if (shown[KVM_PAGE_LAST / 8] > cpu->regs.r13 || (behind == 0 && shown[KVM_PAGE_LAST / 8] != cpu->regs.r13))
        return "shows a time that is not the last";
    return NULL;
}

static void check_counters(const struct check *check, unsigned index, const struct kvm_cpu_state *cpu)
{
    uint64_t page = check->plan->cpu + index;
    const char *what = check_sums(check->plan, cpu);

    if (!what)
        what = check_shown(cpu, (const uint64_t *)(check->ram + page * FERRY_PAGE_BYTES));
    if (!what && cpu->regs.r14 > INT64_MAX)
        what = "saw its time go backwards";
    if (what)
        findings_note(check->findings, CONTENT_DAMAGED, "the page of a vCPU in " RAM_NAME, page, what);
}

void kvm_check(const struct kvm_plan *plan, const uint8_t *ram, const struct kvm_cpu_state *cpu,
               struct findings *findings)
{
    struct check check = { .plan = plan, .ram = (uint8_t *)(uintptr_t)ram, .findings = findings };

    for (unsigned i = 0; i < plan->cpus; i++) {
        check.lines[i] = cpu[i].regs.rbx;
        check_counters(&check, i, &cpu[i]);
    }
    crew_run((plan->pages + CHUNK_PAGES - 1) / CHUNK_PAGES, check_chunk, &check);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

static void fill_chunk(void *opaque, uint64_t index)
{
    const struct check *check = opaque;

    for (uint64_t i = index * CHUNK_PAGES; i < (index + 1) * CHUNK_PAGES && i < check->plan->pages; i++) {
        uint8_t *at = check->ram + i * FERRY_PAGE_BYTES;
        struct kvm_page_due due = kvm_plan_due(check->plan, i, check->lines);

        if (due.kind == KVM_PAGE_IS_FIXED)
            kvm_plan_fixed_page(check->plan, i, at);
        else if (due.kind == KVM_PAGE_IS_DATA)
            kvm_content_write(&check->plan->content, at, i, due.generation);
    }
}

void kvm_fill(const struct kvm_plan *plan, uint8_t *ram)
{
    struct check check = { .plan = plan, .ram = ram };

    crew_run((plan->pages + CHUNK_PAGES - 1) / CHUNK_PAGES, fill_chunk, &check);
}
