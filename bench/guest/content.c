/* SPDX-License-Identifier: BSD-3-Clause */
/* content.c - what a page of the guest holds, so that it can be recognised wherever it turns up */
#include "content.h"

#include "bytes.h"
#include "words.h"
#include "zero.h"

#include <endian.h>
#include <ferry/memory.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Guest memory is read by the migration while the guest writes it; that race is what live migration is about, and the
 * dirty log settles it.  So these writes are kept from the thread sanitizer. */
#define GUEST_WRITES __attribute__((no_sanitize("thread")))

struct header {
    uint64_t owner;
    uint64_t page;
    uint64_t generation;
};

typedef uint64_t lanes __attribute__((vector_size(64), may_alias));

GUEST_WRITES uint64_t content_hash(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* A number that depends on guest and page, for questions numbered by @what. */
GUEST_WRITES static uint64_t page_hash(const struct content *content, uint64_t page, uint64_t what)
{
    return content_hash(content_hash(content->seed + what * UINT64_C(0xd1342543de82ef95)) ^ page);
}

enum { ASK_OWNER, ASK_ZERO, ASK_KIND, ASK_PAYLOAD };

void content_init(struct content *content, const struct guest_spec *spec)
{
    *content = (struct content){ .seed = spec->seed, .zero_percent = spec->zero_percent, .kind = spec->content };
    content->owner = page_hash(content, 0, ASK_OWNER);
}

GUEST_WRITES bool content_is_zero(const struct content *content, uint64_t page)
{
    return page_hash(content, page, ASK_ZERO) % 100 < content->zero_percent;
}

GUEST_WRITES static bool is_text(const struct content *content, uint64_t page)
{
    if (content->kind == SPEC_MIXED)
        return page_hash(content, page, ASK_KIND) & 1;
    return content->kind == SPEC_TEXT;
}

/* Eight generators side by side (xorshift), which the compiler turns into the widest instructions it may use. */
GUEST_WRITES static void write_random(uint8_t *to, uint64_t key)
{
    lanes *out = (lanes *)to;
    lanes state;

    for (unsigned i = 0; i < 8; i++)
        state[i] = content_hash(key + i) | 1;
    for (unsigned i = 0; i < FERRY_PAGE_BYTES / sizeof(lanes); i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = state;
    }
}

/* Words, the common ones often: four for each number drawn.  Each is stored with its whole room, and the next one
 * begins behind its space. */
GUEST_WRITES static void write_text(uint8_t *to, uint64_t key)
{
    uint64_t state = key | 1;
    size_t at = 0;

    while (at <= FERRY_PAGE_BYTES - 4 * WORD_ROOM) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (unsigned shift = 0; shift < 64; shift += 16) {
            unsigned a = (state >> shift) & 255, b = (state >> (shift + 8)) & 255;
            const struct word *word = &words[((a + 1) * (b + 1) - 1) >> 8];

            memcpy(to + at, word, WORD_ROOM);
            at += word->bytes;
        }
    }
    for (; at < FERRY_PAGE_BYTES; at++)
        to[at] = '.';
}

GUEST_WRITES void content_write(const struct content *content, void *to, uint64_t page, uint64_t generation)
{
    uint64_t key = page_hash(content, page, ASK_PAYLOAD) ^ content_hash(generation);
    uint8_t *bytes = to;
    uint64_t *header = to;

    if (content_is_zero(content, page)) {
        memset(bytes, 0, FERRY_PAGE_BYTES);
        return;
    }
    if (is_text(content, page))
        write_text(bytes, key);
    else
        write_random(bytes, key);
    header[1] = htobe64(content->owner);
    header[2] = htobe64(page);
    header[3] = htobe64(generation);
    header[0] = htobe64(XXH3_64bits(bytes + 8, FERRY_PAGE_BYTES - 8));
}

/* Whether the checksum holds. */
static bool read_header(const uint8_t *bytes, struct header *header)
{
    *header = (struct header){ load_be64(bytes + 8), load_be64(bytes + 16), load_be64(bytes + 24) };
    return load_be64(bytes) == XXH3_64bits(bytes + 8, FERRY_PAGE_BYTES - 8);
}

enum content_state content_check(const struct content *content, const void *at, uint64_t page, uint64_t generation)
{
    struct header header;

    if (content_is_zero(content, page))
        return zero_test(at, FERRY_PAGE_BYTES) ? CONTENT_GOOD : CONTENT_DAMAGED;
    if (!read_header(at, &header) || header.owner != content->owner || header.page != page)
        return CONTENT_DAMAGED;
    if (header.generation < generation)
        return CONTENT_STALE;
    return header.generation == generation ? CONTENT_GOOD : CONTENT_DAMAGED;
}

char *content_describe(const struct content *content, const void *at, uint64_t page, uint64_t generation, char *to,
                       size_t room)
{
    struct header header;
    bool whole = read_header(at, &header);
    int used;

    if (content_is_zero(content, page))
        used = snprintf(to, room, "should be zero");
    else
        used = snprintf(to, room, "should hold generation %" PRIu64, generation);
    if (used < 0 || (size_t)used >= room)
        return to;
    to += used;
    room -= (size_t)used;
    if (zero_test(at, FERRY_PAGE_BYTES))
        snprintf(to, room, ", is all zero");
    else if (!whole)
        snprintf(to, room, ", fails its checksum (its header: generation %" PRIu64 " of page %" PRIu64 ")",
                 header.generation, header.page);
    else if (header.owner != content->owner)
        snprintf(to, room, ", holds a page of another guest (%016" PRIx64 ", not %016" PRIx64 ")", header.owner,
                 content->owner);
    else
        snprintf(to, room, ", holds generation %" PRIu64 " of page %" PRIu64, header.generation, header.page);
    return to - used;
}
