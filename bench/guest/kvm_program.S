/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_program.S - what a vCPU of the KVM guest does: looks at the time, checks a page, writes it anew
 *
 * Runs at CPL 3 in long mode, wherever it is put; no stack, no interrupts, no instruction beyond SSE2.  Whatever it
 * knows is in registers, so that it may be stopped between any two instructions and go on on another machine:
 *
 *     rbx   lines written in its life: page number rbx / 64 of its order, line rbx % 64.  All else follows from it
 *     rbp   its page (kvm_program.h)
 *     r8    pages it may write until it asks again
 *     r9    which of its data pages is next (d)
 *     r10   the generation being written: laps over all of them, plus one
 *     r11   steps left in this lap
 *     r12   address of the page being written
 *     r13   time stamp of the last beat, 0: none; r14 the largest gap between two; r15 how many there were
 *     xmm14 what xmm15 grows by; xmm15 pages written, and that often the owner
 *     the others come and go
 *
 *          .------------------------------------------------------------------.
 *          v                                                                  |
 *        beat --- may write? --- check what is there, line by line --- write a line, rbx + 1 --- 64 lines: next page
 *          ^          | no                  | wrong
 *          '------- in PACE             out BAD
 */
#include "kvm_program.h"

    .intel_syntax noprefix
    .section .rodata.kvm_program, "a", @progbits
    .balign 16
    .globl  kvm_program_begin
    .globl  kvm_program_end
    .hidden kvm_program_begin
    .hidden kvm_program_end

/* Scrambles \value; spoils rax and rcx. */
.macro MIX value
    movabs  rax, KVM_MIX_ADD
    add     \value, rax
    mov     rax, \value
    shr     rax, 30
    xor     \value, rax
    movabs  rcx, KVM_MIX_MUL_1
    imul    \value, rcx
    mov     rax, \value
    shr     rax, 27
    xor     \value, rax
    movabs  rcx, KVM_MIX_MUL_2
    imul    \value, rcx
    mov     rax, \value
    shr     rax, 31
    xor     \value, rax
.endm

/* rdi = the key of page rsi in the generation rdx; spoils rax, rcx. */
.macro KEY
    mov     rdi, [rbp + KVM_PAGE_SECRET]
    xor     rdi, rsi
    MIX     rdi
    xor     rdi, rdx
    MIX     rdi
.endm

/* Two generators that begin at rdi and behind it. */
.macro SEED generators
    mov     rax, rdi
    or      rax, 1
    movq    \generators, rax
    add     rdi, rcx
    mov     rax, rdi
    or      rax, 1
    movq    xmm4, rax
    punpcklqdq \generators, xmm4
    add     rdi, rcx
.endm

.macro SEED_ALL
    movabs  rcx, KVM_MIX_ADD
    SEED    xmm0
    SEED    xmm1
    SEED    xmm2
    SEED    xmm3
.endm

.macro DRAW generators
    movdqa  xmm4, \generators
    psllq   xmm4, 13
    pxor    \generators, xmm4
    movdqa  xmm4, \generators
    psrlq   xmm4, 7
    pxor    \generators, xmm4
    movdqa  xmm4, \generators
    psllq   xmm4, 17
    pxor    \generators, xmm4
.endm

.macro DRAW_ALL
    DRAW    xmm0
    DRAW    xmm1
    DRAW    xmm2
    DRAW    xmm3
.endm

/* The generators against 16 bytes at \offset behind rdi; xmm5 keeps what is equal. */
.macro SAME generators, offset
    movdqa  xmm4, [rdi + \offset]
    pcmpeqd xmm4, \generators
    pand    xmm5, xmm4
.endm

kvm_program_begin:
    movdqa  xmm14, [rbp + KVM_PAGE_ONES]
    pxor    xmm15, xmm15

beat:
    inc     r15
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    mov     rcx, rax
    sub     rcx, r13
    test    r13, r13
    jz      .Lnoted
    cmp     rcx, r14
    cmova   r14, rcx
    /* It may have been stopped before this look at the clock or after, so the larger gap of two beats counts. */
    mov     rdx, r15
    sub     rdx, [rbp + KVM_PAGE_RESUMED]
    cmp     rdx, 1
    ja      .Lnoted
    cmp     rcx, [rbp + KVM_PAGE_BLACKOUT]
    jbe     .Lnoted
    mov     [rbp + KVM_PAGE_BLACKOUT], rcx
.Lnoted:
    mov     r13, rax
    mov     [rbp + KVM_PAGE_LAST], r13
    mov     [rbp + KVM_PAGE_LARGEST], r14
    mov     [rbp + KVM_PAGE_LINES], rbx
    movdqa  [rbp + KVM_PAGE_SUMS], xmm15
    mov     [rbp + KVM_PAGE_BEATS], r15

    test    r8, r8
    jnz     .Lcheck
    mov     edx, KVM_PORT_PACE
    in      eax, dx
    mov     r8d, eax
    jmp     beat

.Lcheck:
    dec     r8
    mov     rsi, r9
    imul    rsi, [rbp + KVM_PAGE_SPREAD]
    shr     rsi, 16
    add     rsi, [rbp + KVM_PAGE_FIRST]
    mov     r12, rsi
    shl     r12, 12
    lea     rdx, [r10 - 1]
    KEY
    mov     rax, [rbp + KVM_PAGE_OWNER]
    cmp     [r12], rax
    jne     .Lbad
    cmp     [r12 + 8], rsi
    jne     .Lbad
    cmp     [r12 + 16], rdx
    jne     .Lbad
    cmp     [r12 + 24], rdi
    jne     .Lbad
    not     rax
    cmp     [r12 + 32], rax
    jne     .Lbad
    mov     rax, rsi
    not     rax
    cmp     [r12 + 40], rax
    jne     .Lbad
    not     rdx
    cmp     [r12 + 48], rdx
    jne     .Lbad
    mov     rax, rdi
    not     rax
    cmp     [r12 + 56], rax
    jne     .Lbad
    SEED_ALL
    pcmpeqd xmm5, xmm5
    lea     rdi, [r12 + KVM_LINE_BYTES]
    lea     rdx, [r12 + 4096]
.Lcheck_line:
    DRAW_ALL
    SAME    xmm0, 0
    SAME    xmm1, 16
    SAME    xmm2, 32
    SAME    xmm3, 48
    add     rdi, KVM_LINE_BYTES
    cmp     rdi, rdx
    jb      .Lcheck_line
    pmovmskb eax, xmm5
    cmp     eax, 0xffff
    je      .Lwrite
.Lbad:
    mov     edx, KVM_PORT_BAD
    out     dx, eax

.Lwrite:
    mov     rdx, r10
    KEY
    mov     rax, [rbp + KVM_PAGE_OWNER]
    mov     [r12], rax
    mov     [r12 + 8], rsi
    mov     [r12 + 16], rdx
    mov     [r12 + 24], rdi
    not     rax
    mov     [r12 + 32], rax
    not     rsi
    mov     [r12 + 40], rsi
    not     rdx
    mov     [r12 + 48], rdx
    mov     rax, rdi
    not     rax
    mov     [r12 + 56], rax
    inc     rbx
    SEED_ALL
.Lwrite_line:
    DRAW_ALL
    mov     eax, ebx
    and     eax, 63
    shl     eax, 6
    movdqa  [r12 + rax], xmm0
    movdqa  [r12 + rax + 16], xmm1
    movdqa  [r12 + rax + 32], xmm2
    movdqa  [r12 + rax + 48], xmm3
    inc     rbx
    test    ebx, 63
    jnz     .Lwrite_line

    paddq   xmm15, xmm14
    add     r9, [rbp + KVM_PAGE_STRIDE]
    cmp     r9, [rbp + KVM_PAGE_WRITTEN]
    jb      .Lstep
    sub     r9, [rbp + KVM_PAGE_WRITTEN]
.Lstep:
    dec     r11
    jnz     beat
    mov     r11, [rbp + KVM_PAGE_WRITTEN]
    inc     r10
    jmp     beat
kvm_program_end:

    .section .note.GNU-stack, "", @progbits
