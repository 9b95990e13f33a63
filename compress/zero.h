/* SPDX-License-Identifier: BSD-3-Clause */
/* zero.h - is this memory all zero? */
#ifndef COMPRESS_ZERO_H
#define COMPRESS_ZERO_H

#include <stdbool.h>
#include <stddef.h>

/* @bytes is a multiple of 64, @data is aligned to 64.  The widest instructions of this processor are used. */
bool zero_test(const void *data, size_t bytes);

/* The implementations, widest first, for tests and benchmarks; `usable` asks the processor. */
struct zero_impl {
    const char *name;
    bool (*usable)(void);
    bool (*test)(const void *data, size_t bytes);
};
extern const struct zero_impl zero_impls[];
extern const size_t zero_impls_count;

#endif
