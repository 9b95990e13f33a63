/* SPDX-License-Identifier: BSD-3-Clause */
/* bytes.h - big-endian integers in memory, alignment-free */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>

uint16_t load_be16(const void *from);
uint32_t load_be32(const void *from);
uint64_t load_be64(const void *from);
void store_be16(void *to, uint16_t value);
void store_be32(void *to, uint32_t value);
void store_be64(void *to, uint64_t value);

#endif
