/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu.h - what this processor can do */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdbool.h>

bool cpu_has_avx2(void);
bool cpu_has_avx512bw(void);

/* How many processors this process may use. */
int cpu_count(void);

#endif
