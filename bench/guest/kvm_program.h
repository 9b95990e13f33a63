/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_program.h - what the code that runs inside the KVM guest (kvm_program.S) shares with the C around it
 *
 * Each vCPU has a page of its own in guest memory, found through rbp.  Its first part never changes, the second is what
 * the vCPU shows of itself: a copy, at each beat, of registers that are the truth.
 */
#ifndef BENCH_KVM_PROGRAM_H
#define BENCH_KVM_PROGRAM_H

/* ---- a vCPU's page: offsets -------------------------------------------------------------------------------------- */

#define KVM_PAGE_OWNER   0  /* of all pages of this guest */
#define KVM_PAGE_SECRET  8  /* what every content follows from */
#define KVM_PAGE_FIRST   16 /* page number of the first page of its share */
#define KVM_PAGE_SPREAD  24 /* data page d is page number first + (d * spread >> 16) */
#define KVM_PAGE_WRITTEN 32 /* how many of its data pages it writes: d is below that */
#define KVM_PAGE_STRIDE  40 /* d of the next step is d + stride modulo that */
#define KVM_PAGE_ONES    48 /* 16 bytes: what xmm15 grows by with each page: 1, owner */
#define KVM_PAGE_FIXED   64 /* so far it never changes */

#define KVM_PAGE_LINES    64  /* rbx */
#define KVM_PAGE_BEATS    72  /* r15 */
#define KVM_PAGE_LAST     80  /* r13 */
#define KVM_PAGE_LARGEST  88  /* r14 */
#define KVM_PAGE_SUMS     96  /* 16 bytes: xmm15 */
#define KVM_PAGE_RESUMED  112 /* set from outside before it goes on elsewhere: r15 then */
#define KVM_PAGE_BLACKOUT 120 /* by it: the time stamps between the last beat there and the first here; 0: not yet */
#define KVM_PAGE_USED     128

/* ---- ports ------------------------------------------------------------------------------------------------------- */

#define KVM_PORT_PACE 16 /* in: how many pages may be written until the next such question */
#define KVM_PORT_BAD  20 /* out: the page about to be written does not hold what was written to it last */
#define KVM_PORT_ENDS 64 /* ports below this are open to the guest */

/* ---- numbers that the content is made of, see kvm_content.h ------------------------------------------------------ */

#define KVM_MIX_ADD   0x9e3779b97f4a7c15
#define KVM_MIX_MUL_1 0xbf58476d1ce4e5b9
#define KVM_MIX_MUL_2 0x94d049bb133111eb

#define KVM_LINE_BYTES       64
#define KVM_PAGE_LINES_SHIFT 6 /* lines of a page: 64 */

#ifndef __ASSEMBLER__

#include <stdint.h>

/* Where it begins in this process, to be copied to where a guest runs it, and its end. */
extern const uint8_t kvm_program_begin[];
extern const uint8_t kvm_program_end[];

#endif

#endif
