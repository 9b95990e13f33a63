/* SPDX-License-Identifier: BSD-3-Clause */
/* toucher.h - a thread that reads pages of guest memory at random, and notes how long each took */
#ifndef BENCH_TOUCHER_H
#define BENCH_TOUCHER_H

#include "gate.h"
#include "touches.h"

#include <ferry/error.h>

struct toucher;

struct toucher_terms {
    const void *ram; /* borrowed, as the rest is */
    uint64_t bytes;
    uint64_t bytes_per_sec; /* a page for each touch; PACE_UNLIMITED; not 0 */
    uint64_t seed;
    struct gate *gate;
    struct touches *touches;
};

/* It reads while the gate is open. */
struct toucher *toucher_new(const struct toucher_terms *terms, struct ferry_error *err);

/* After gate_quit().  NULL is legal. */
void toucher_free(struct toucher *toucher);

#endif
