/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_sum.c - CRC32C
 *
 * ISA-L does several pieces at once and puts them together, some 25 GB/s.  Without it the processor's own instruction
 * goes from one word to the next, a third of that; where there is neither, half a byte at a time.
 */
#include "packet_parts.h"

#include <stdbool.h>
#include <string.h>

#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif

static uint32_t sum_plain(uint32_t crc, const uint8_t *at, size_t bytes)
{
    static const uint32_t half[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (; bytes > 0; bytes--, at++) {
        crc ^= *at;
        crc = crc >> 4 ^ half[crc & 15];
        crc = crc >> 4 ^ half[crc & 15];
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t sum_words(uint32_t crc, const uint8_t *at, size_t bytes)
{
    uint64_t wide = crc;

    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; bytes > 0; bytes--, at++)
        crc = _mm_crc32_u8(crc, *at);
    return crc;
}

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t sum_words(uint32_t crc, const uint8_t *at, size_t bytes)
{
    return sum_plain(crc, at, bytes);
}

static bool has_instruction(void)
{
    return false;
}
#endif

uint32_t packet_sum_by(enum packet_sum_way way, uint32_t sum, const void *data, size_t bytes)
{
    switch (way) {
#ifdef HAVE_ISAL
    case SUM_ISAL:
        /* It takes a pointer to what it does not change. */
        return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)bytes, ~sum);
#endif
    case SUM_PLAIN:
        return ~sum_plain(~sum, data, bytes);
    default:
        return has_instruction() ? ~sum_words(~sum, data, bytes) : ~sum_plain(~sum, data, bytes);
    }
}

uint32_t packet_sum_more(uint32_t sum, const void *data, size_t bytes)
{
    return packet_sum_by(SUM_ISAL, sum, data, bytes);
}

uint32_t packet_sum(const void *data, size_t bytes)
{
    return packet_sum_more(0, data, bytes);
}
