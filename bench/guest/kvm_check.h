/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_check.h - is the KVM guest's memory what its vCPUs' registers say it is? */
#ifndef BENCH_KVM_CHECK_H
#define BENCH_KVM_CHECK_H

#include "findings.h"
#include "kvm_plan.h"
#include "kvm_state.h"

/**
 * kvm_check() - check every page, and every counter that the guest keeps
 * @cpu: the state of all vCPUs, which stand still
 *
 * Exact also where a vCPU was stopped in the middle of a page.  Several threads.
 */
void kvm_check(const struct kvm_plan *plan, const uint8_t *ram, const struct kvm_cpu_state *cpu,
               struct findings *findings);

/* Write what every page holds before the first vCPU has run.  Several threads. */
void kvm_fill(const struct kvm_plan *plan, uint8_t *ram);

#endif
