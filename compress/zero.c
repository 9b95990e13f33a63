/* SPDX-License-Identifier: BSD-3-Clause */
/* zero.c - is this memory all zero?
 *
 * Memory with content nearly always shows it in its first bytes, so the first 64 are looked at alone; after that the
 * loops read blocks as wide as eight registers and test once per block.
 *
 * Guest memory changes while it is tested.  That is no error: whoever sends a page clears its dirty bit first, so a
 * page that changes under the test is sent again.  ThreadSanitizer is therefore told not to look in here.
 */
#include "zero.h"

#include "cpu.h"

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define UNWATCHED __attribute__((no_sanitize("thread")))

/* Words that may alias whatever type the memory has. */
typedef uint64_t __attribute__((may_alias)) zero_word;

static bool always_usable(void)
{
    return true;
}

UNWATCHED static bool zero_line_word(const zero_word *at)
{
    return !(at[0] | at[1] | at[2] | at[3] | at[4] | at[5] | at[6] | at[7]);
}

UNWATCHED static bool zero_test_word(const void *data, size_t bytes)
{
    const zero_word *at = data;
    const zero_word *end = at + bytes / sizeof(*at);

    for (; at < end; at += 8) {
        if (!zero_line_word(at))
            return false;
    }
    return true;
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) UNWATCHED static bool zero_line_avx2(const __m256i *at)
{
    __m256i any = _mm256_or_si256(at[0], at[1]);

    return _mm256_testz_si256(any, any);
}

__attribute__((target("avx2"))) UNWATCHED static bool zero_test_avx2(const void *data, size_t bytes)
{
    const __m256i *at = data;
    const __m256i *end = at + bytes / sizeof(*at);

    if (at < end && !zero_line_avx2(at))
        return false;
    for (; end - at >= 8; at += 8) {
        __m256i low = _mm256_or_si256(_mm256_or_si256(at[0], at[1]), _mm256_or_si256(at[2], at[3]));
        __m256i high = _mm256_or_si256(_mm256_or_si256(at[4], at[5]), _mm256_or_si256(at[6], at[7]));
        __m256i any = _mm256_or_si256(low, high);

        if (!_mm256_testz_si256(any, any))
            return false;
    }
    for (; at < end; at += 2) {
        if (!zero_line_avx2(at))
            return false;
    }
    return true;
}

__attribute__((target("avx512f,avx512bw"))) UNWATCHED static bool zero_test_avx512(const void *data, size_t bytes)
{
    const __m512i *at = data;
    const __m512i *end = at + bytes / sizeof(*at);

    if (at < end && _mm512_test_epi64_mask(at[0], at[0]))
        return false;
    for (; end - at >= 8; at += 8) {
        __m512i low = _mm512_or_si512(_mm512_or_si512(at[0], at[1]), _mm512_or_si512(at[2], at[3]));
        __m512i high = _mm512_or_si512(_mm512_or_si512(at[4], at[5]), _mm512_or_si512(at[6], at[7]));
        __m512i any = _mm512_or_si512(low, high);

        if (_mm512_test_epi64_mask(any, any))
            return false;
    }
    for (; at < end; at++) {
        if (_mm512_test_epi64_mask(at[0], at[0]))
            return false;
    }
    return true;
}

#endif

const struct zero_impl zero_impls[] = {
#if defined(__x86_64__)
    { "avx512", cpu_has_avx512bw, zero_test_avx512 },
    { "avx2", cpu_has_avx2, zero_test_avx2 },
#endif
    { "word", always_usable, zero_test_word },
};
const size_t zero_impls_count = sizeof(zero_impls) / sizeof(zero_impls[0]);

bool zero_test(const void *data, size_t bytes)
{
    for (size_t i = 0; i < zero_impls_count; i++) {
        if (zero_impls[i].usable())
            return zero_impls[i].test(data, bytes);
    }
    return false;
}
