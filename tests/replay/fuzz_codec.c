/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_codec.c - any bytes as what a codec gets: payloads to decode, and pages to encode and decode
 *
 *      memory   | no access | pages to decode into | no access |
 */
#include "fuzz_codec.h"

#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE      4096u
#define PAGES_MAX 16u
#define STREAM    0x80
#define ENCODE    0x40

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* PAGES_MAX pages with nothing around them. */
static uint8_t *guarded_pages(void)
{
    static uint8_t *memory;

    if (!memory) {
        uint8_t *all = mmap(NULL, (PAGES_MAX + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        must(all != MAP_FAILED);
        must(mprotect(all + PAGE, PAGES_MAX * PAGE, PROT_READ | PROT_WRITE) == 0);
        memory = all + PAGE;
    }
    return memory;
}

/* The first @count pages, or the last: there is no access in front of those, or behind these. */
static void set_pages(uint8_t **page, unsigned count, bool last)
{
    uint8_t *first = guarded_pages() + (last ? (PAGES_MAX - count) * PAGE : 0);

    for (unsigned i = 0; i < count; i++)
        page[i] = first + (size_t)i * PAGE;
}

static void decode_all(struct decoder *decoder, unsigned count, const uint8_t *data, size_t bytes)
{
    uint8_t *page[PAGES_MAX];
    const struct codec_pages pages = { page, NULL, count, PAGE };
    bool last = true;
    int ret = 0;

    while (ret == 0 && bytes >= 2) {
        size_t payload = load_be16(data) < bytes - 2 ? load_be16(data) : bytes - 2;
        uint8_t *exact = malloc(payload + !payload); /* so that a sanitizer sees a step too far */
        struct ferry_error err = { 0 };

        must(exact != NULL);
        memcpy(exact, data + 2, payload);
        set_pages(page, count, last);
        ret = decoder_decode(decoder, exact, payload, &pages, &err);
        must(ret == 0 || (ret == -EPROTO && err.errnum == ret && err.text[0]));
        free(exact);
        data += 2 + payload;
        bytes -= 2 + payload;
        last = !last;
    }
}

static int level_of(enum codec_id id, unsigned choice)
{
    static const int levels[CODEC_COUNT][4] = {
        [CODEC_ZLIB] = { 1, CODEC_LEVEL_ZERO, 6, 9 },
        [CODEC_ZSTD] = { 1, 3, 6, 13 },
        [CODEC_LZ4] = { 1, 3, 9, 12 },
    };

    return levels[id][choice % 4];
}

static void encode_and_decode(const struct codec_terms *terms, struct decoder *decoder, const uint8_t *data,
                              size_t bytes)
{
    unsigned count =
        (unsigned)((bytes + PAGE - 1) / PAGE) < PAGES_MAX ? (unsigned)((bytes + PAGE - 1) / PAGE) : PAGES_MAX;
    struct encoder *encoder = encoder_new(terms, NULL);
    uint8_t *from = calloc(count + !count, PAGE), *page[PAGES_MAX], *to[PAGES_MAX], *out;
    uint64_t key[PAGES_MAX];
    const struct codec_pages pages = { page, key, count, PAGE }, arrived = { to, key, count, PAGE };

    must(encoder && from);
    out = malloc(encoder_bound(encoder));
    must(out != NULL);
    memcpy(from, data, bytes < (size_t)count * PAGE ? bytes : (size_t)count * PAGE);
    set_pages(to, count, true);
    for (unsigned i = 0; i < count; i++) {
        page[i] = from + (size_t)i * PAGE;
        key[i] = i;
    }
    /* Twice, with a change: a stream goes on, deltas have something to be against. */
    for (unsigned round = 0; round < 2 && count > 0; round++) {
        ssize_t done = encoder_encode(encoder, &pages, out, NULL);

        must(done >= 0 && (size_t)done <= encoder_bound(encoder));
        must(done > 0 || terms->framing == CODEC_FRAMED);
        if (done > 0) {
            must(decoder_decode(decoder, out, (size_t)done, &arrived, NULL) == 0);
            must(memcmp(to[0], from, (size_t)count * PAGE) == 0);
        }
        for (size_t i = 0; i < (size_t)count * PAGE; i += 97)
            from[i] ^= from[i / 2] | 1;
    }
    encoder_free(encoder);
    free(from);
    free(out);
}

int fuzz_codec(enum codec_id id, const uint8_t *data, size_t bytes)
{
    struct codec_terms terms = { .id = id, .pages_max = PAGES_MAX, .page_bytes = PAGE, .cache_bytes = 8 * PAGE };
    struct decoder *decoder;

    if (bytes == 0)
        return 0;
    if (data[0] & STREAM && (id == CODEC_ZLIB || id == CODEC_ZSTD))
        terms.framing = CODEC_STREAM;
    terms.level = data[0] & ENCODE ? level_of(id, data[0]) : 0;
    decoder = decoder_new(&terms, NULL);
    must(decoder != NULL);
    if (data[0] & ENCODE)
        encode_and_decode(&terms, decoder, data + 1, bytes - 1);
    else
        decode_all(decoder, data[0] % PAGES_MAX + 1, data + 1, bytes - 1);
    decoder_free(decoder);
    return 0;
}
