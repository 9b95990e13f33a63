/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_ops.h - what each kind of synthetic guest implements; see guest.h for the contracts */
#ifndef BENCH_GUEST_OPS_H
#define BENCH_GUEST_OPS_H

#include "guest.h"

struct bench_guest_ops {
    const char *kind;
    struct bench_guest *(*create)(const char *keys, struct ferry_error *err); /* what follows "KIND:", or "" */
    struct bench_guest *(*incoming)(struct ferry_error *err);
    struct ferry_guest *(*ferry)(struct bench_guest *guest);
    int (*start)(struct bench_guest *guest, struct ferry_error *err);
    int (*stop)(struct bench_guest *guest, struct ferry_error *err);
    int (*verify)(struct bench_guest *guest, uint64_t run_on_ns, struct bench_verify *out, struct ferry_error *err);
    void (*figures)(struct bench_guest *guest, struct bench_figures *out);
    void (*free)(struct bench_guest *guest); /* not NULL */
};

/* The first member of every kind's own struct. */
struct bench_guest {
    const struct bench_guest_ops *ops;
};

extern const struct bench_guest_ops pattern_guest_ops;
extern const struct bench_guest_ops kvm_guest_ops; /* x86-64 only */

#endif
