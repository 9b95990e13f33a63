/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_plan.h - how the KVM guest's memory is laid out, and which generation every page has after so many lines
 *
 *     page 0    PML4, PDPTs, PDs | program | TSS | a page for each vCPU | share of vCPU 0 | share of vCPU 1 | ...
 *               mapped one to one, 2 MiB at a time; it all migrates as the memory it is
 *
 * A vCPU writes the data pages of its share (the others stay zero) lap after lap, in an order that is a permutation:
 * step s writes data page (s * stride) mod W.  One number per vCPU, the lines it has written, 64 of them a page, says
 * what every page of its share must hold:
 *
 *      W = 5, stride = 3, lines = 7 * 64 + 20        step in its lap   0  1  2  3  4
 *                                                    data page         0  3  1  4  2
 *                                                    generation        2  2  1  1  1     page 1: 20 lines of 2
 *
 * That number is a register of the vCPU and crosses apart from the pages, so a lost page shows.
 */
#ifndef BENCH_KVM_PLAN_H
#define BENCH_KVM_PLAN_H

#include "kvm_content.h"
#include "spec.h"

#include <ferry/error.h>

struct kvm_share {
    uint64_t first, pages; /* page numbers */
    uint64_t spread;       /* data page d is page number first + (d * spread >> 16) */
    uint64_t data;         /* data pages; none: spread is 0 */
    uint64_t written;      /* W: how many of them are written, the first ones */
    uint64_t stride, inverse;
};

struct kvm_plan {
    struct kvm_content content;
    uint64_t pages;
    uint64_t directories;             /* pages of page directories, one for each GiB */
    uint64_t pointers;                /* pages of pointers to those */
    uint64_t program, tss, cpu, data; /* page numbers: where each begins */
    unsigned cpus;
    struct kvm_share share[SPEC_THREADS_MAX];
};

/* Refuses a spec that makes no sense for a KVM guest, or has too little memory. */
int kvm_plan_make(struct kvm_plan *plan, const struct guest_spec *spec, struct ferry_error *err);

/* What a page below plan->data holds, as far as it never changes. */
void kvm_plan_fixed_page(const struct kvm_plan *plan, uint64_t page, uint8_t *to);

/* What page directories and vCPUs are told: physical addresses. */
uint64_t kvm_plan_tables(const struct kvm_plan *plan);
uint64_t kvm_plan_address(uint64_t page);

enum kvm_page_kind {
    KVM_PAGE_IS_FIXED, /* plan->data and above are the others */
    KVM_PAGE_IS_ZERO,
    KVM_PAGE_IS_DATA,
};

struct kvm_page_due {
    enum kvm_page_kind kind;
    uint64_t generation;
    bool begun;     /* a vCPU is at work here: */
    unsigned lines; /* so many lines are of the next generation */
};

/**
 * kvm_plan_due() - what a page must hold
 * @lines: that each vCPU has written
 */
struct kvm_page_due kvm_plan_due(const struct kvm_plan *plan, uint64_t page, const uint64_t *lines);

#endif
