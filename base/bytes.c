/* SPDX-License-Identifier: BSD-3-Clause */
/* bytes.c - big-endian integers in memory, alignment-free */
#include "bytes.h"

#include <endian.h>
#include <string.h>

uint16_t load_be16(const void *from)
{
    uint16_t raw;

    memcpy(&raw, from, sizeof(raw));
    return be16toh(raw);
}

uint32_t load_be32(const void *from)
{
    uint32_t raw;

    memcpy(&raw, from, sizeof(raw));
    return be32toh(raw);
}

uint64_t load_be64(const void *from)
{
    uint64_t raw;

    memcpy(&raw, from, sizeof(raw));
    return be64toh(raw);
}

void store_be16(void *to, uint16_t value)
{
    value = htobe16(value);
    memcpy(to, &value, sizeof(value));
}

void store_be32(void *to, uint32_t value)
{
    value = htobe32(value);
    memcpy(to, &value, sizeof(value));
}

void store_be64(void *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof(value));
}
