/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_content.h - what a page of the KVM guest holds: the same as kvm_program.S writes, as C
 *
 *     line 0          owner, page, generation, key, and the complement of each      lines 1 to 63: random numbers
 *
 * Eight numbers of eight bytes make a line.  The key follows from secret, page and generation, the random numbers from
 * the key: so there is one content that a page can have in a generation, and every byte of it is checked.  Host byte
 * order, for the guest is of the same machine.
 */
#ifndef BENCH_KVM_CONTENT_H
#define BENCH_KVM_CONTENT_H

#include "content.h"

struct kvm_content {
    uint64_t owner;
    uint64_t secret;
};

void kvm_content_init(struct kvm_content *content, uint64_t seed);

/* @to: 4096 bytes, aligned to 64. */
void kvm_content_write(const struct kvm_content *content, void *to, uint64_t page, uint64_t generation);

enum content_state kvm_content_check(const struct kvm_content *content, const void *at, uint64_t page,
                                     uint64_t generation);

/* The same where a vCPU is at work: @lines (0 to 63) from the top hold the next generation, and of the line that
 * follows perhaps some words. */
enum content_state kvm_content_check_half(const struct kvm_content *content, const void *at, uint64_t page,
                                          uint64_t generation, unsigned lines);

/* For people: what lies there instead.  Returns @to. */
char *kvm_content_describe(const struct kvm_content *content, const void *at, uint64_t page, uint64_t generation,
                           char *to, size_t room);

#endif
