/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz.h - what every fuzz target has: the entry that a fuzzer calls, and fuzz_main.c with the files of a corpus */
#ifndef REPLAY_FUZZ_H
#define REPLAY_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; what must not be ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
