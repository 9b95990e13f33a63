/* SPDX-License-Identifier: BSD-3-Clause */
/* kvm_content.c - what a page of the KVM guest holds: the same as kvm_program.S writes, as C */
#include "kvm_content.h"

#include "kvm_program.h"
#include "zero.h"

#include <ferry/memory.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORDS (KVM_LINE_BYTES / sizeof(uint64_t))
#define LINES (FERRY_PAGE_BYTES / KVM_LINE_BYTES)

typedef uint64_t lanes __attribute__((vector_size(KVM_LINE_BYTES), may_alias));

struct whole_page {
    _Alignas(KVM_LINE_BYTES) uint64_t line[LINES][WORDS];
};

_Static_assert(sizeof(lanes) == KVM_LINE_BYTES && LINES == 1 << KVM_PAGE_LINES_SHIFT, "eight numbers make a line");

void kvm_content_init(struct kvm_content *content, uint64_t seed)
{
    content->owner = content_hash(seed ^ UINT64_C(0x6b766d2e6f776e72));
    content->secret = content_hash(seed ^ UINT64_C(0x6b766d2e73637274));
}

static uint64_t key_of(const struct kvm_content *content, uint64_t page, uint64_t generation)
{
    return content_hash(content_hash(content->secret ^ page) ^ generation);
}

void kvm_content_write(const struct kvm_content *content, void *to, uint64_t page, uint64_t generation)
{
    const uint64_t key = key_of(content, page, generation);
    const uint64_t head[] = { content->owner, page, generation, key };
    uint64_t(*line)[WORDS] = to;
    lanes state;

    for (unsigned i = 0; i < 4; i++) {
        line[0][i] = head[i];
        line[0][i + 4] = ~head[i];
    }
    for (unsigned i = 0; i < WORDS; i++)
        state[i] = (key + i * KVM_MIX_ADD) | 1;
    for (unsigned i = 1; i < LINES; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *(lanes *)line[i] = state;
    }
}

/* Words of the new generation, then words of the old one. */
static bool is_half_written(const uint64_t *at, const uint64_t *new_line, const uint64_t *old_line)
{
    unsigned words = 0;

    while (words < WORDS && at[words] == new_line[words])
        words++;
    return !memcmp(at + words, old_line + words, (WORDS - words) * sizeof(*at));
}

static bool is_half_page(const struct kvm_content *content, const void *at, uint64_t page, uint64_t generation,
                         unsigned lines)
{
    const uint64_t(*line)[WORDS] = at;
    struct whole_page old_page, new_page;

    kvm_content_write(content, &old_page, page, generation);
    kvm_content_write(content, &new_page, page, generation + 1);
    return !memcmp(line, new_page.line, lines * KVM_LINE_BYTES) &&
           is_half_written(line[lines], new_page.line[lines], old_page.line[lines]) &&
           !memcmp(line + lines + 1, old_page.line + lines + 1, (LINES - lines - 1) * KVM_LINE_BYTES);
}

static bool is_whole(const struct kvm_content *content, const void *at, uint64_t page, uint64_t generation)
{
    struct whole_page wanted;

    kvm_content_write(content, &wanted, page, generation);
    return !memcmp(at, &wanted, FERRY_PAGE_BYTES);
}

enum content_state kvm_content_check(const struct kvm_content *content, const void *at, uint64_t page,
                                     uint64_t generation)
{
    const uint64_t *head = at;

    if (is_whole(content, at, page, generation))
        return CONTENT_GOOD;
    return head[2] < generation && is_whole(content, at, page, head[2]) ? CONTENT_STALE : CONTENT_DAMAGED;
}

enum content_state kvm_content_check_half(const struct kvm_content *content, const void *at, uint64_t page,
                                          uint64_t generation, unsigned lines)
{
    const uint64_t *head = at;

    if (is_half_page(content, at, page, generation, lines))
        return CONTENT_GOOD;
    return head[2] <= generation && is_whole(content, at, page, head[2]) ? CONTENT_STALE : CONTENT_DAMAGED;
}

char *kvm_content_describe(const struct kvm_content *content, const void *at, uint64_t page, uint64_t generation,
                           char *to, size_t room)
{
    const uint64_t *head = at;

    if (zero_test(at, FERRY_PAGE_BYTES))
        snprintf(to, room, "should hold generation %" PRIu64 ", is all zero", generation);
    else if (head[0] != content->owner)
        snprintf(to, room, "should hold generation %" PRIu64 ", is none of this guest's (owner %016" PRIx64 ")",
                 generation, head[0]);
    else
        snprintf(to, room, "should hold generation %" PRIu64 ", holds %s of generation %" PRIu64 " of page %" PRIu64,
                 generation, is_whole(content, at, head[1], head[2]) ? "all" : "parts", head[2], head[1]);
    return to;
}
