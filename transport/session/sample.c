/* SPDX-License-Identifier: BSD-3-Clause */
/* sample.c - what a guest that stays where it is holds and writes, looked at for a second */
#include "sample.h"

#include "clock.h"
#include "codec.h"
#include "guest_parts.h"
#include "precopy.h"
#include "zero.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGES_MOST  4096 /* that are looked at one by one */
#define CODEC_PAGES 128
#define CODEC_RUNS  8

/* Shares of the time at which it is looked; those who write little must be looked at for longer. */
static const double shares[] = { 0.01, 0.03, 0.1, 0.3, 1 };
#define SHARES (sizeof(shares) / sizeof(shares[0]))

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

/* A page anywhere in all blocks. */
static uint8_t *any_page(const struct ferry_guest *guest, uint64_t *random)
{
    uint64_t page = draw(random) % (guest->ram.total_bytes / FERRY_PAGE_BYTES);

    for (unsigned i = 0; i < guest->ram.count; i++) {
        const struct ram_block *block = guest->ram.blocks[i];

        if (page < block->pages)
            return block->host + page * FERRY_PAGE_BYTES;
        page -= block->pages;
    }
    return guest->ram.blocks[0]->host;
}

/* ---- pages that were never touched, or hold zeros ---------------------------------------------------------------- */

static double populated_bytes(struct page_walk *walk)
{
    double pages = 0;

    for (unsigned i = 0; walk->populated && i < walk->map->count; i++)
        pages += (double)walk->populated[i].count;
    return pages * FERRY_PAGE_BYTES;
}

/* Some of the touched ones are read. */
static void look_for_zeros(struct ferry_guest *guest, struct page_walk *walk, struct sample_result *result)
{
    double touched = populated_bytes(walk);
    unsigned looked = 0, zero = 0;
    uint64_t random = 88172645463325252u;

    for (unsigned i = 0; i < walk->map->count; i++) {
        const struct dirty_map *populated = walk->populated ? &walk->populated[i] : NULL;
        uint64_t pages = walk->map->blocks[i]->pages;

        for (unsigned n = 0; n < PAGES_MOST / walk->map->count; n++) {
            uint64_t page = draw(&random) % pages;

            if (populated && !dirty_test(populated, page))
                continue;
            looked++;
            zero += zero_test(walk->map->blocks[i]->host + page * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES);
        }
    }
    result->zero_bytes = result->bytes - touched + (looked > 0 ? touched * zero / looked : 0);
}

/* ---- dirty-bitmap ------------------------------------------------------------------------------------------------ */

static double dirty_bytes(const struct page_walk *walk)
{
    double pages = 0;

    for (unsigned i = 0; i < walk->map->count; i++)
        pages += (double)walk->dirty[i].count;
    return pages * FERRY_PAGE_BYTES;
}

static int look_at_bitmap(struct precopy *precopy, double seconds, struct sample_result *result,
                          struct ferry_error *err)
{
    int64_t began = clock_now_ns();
    uint64_t written;
    int ret = 0;

    for (unsigned i = 0; i < precopy->walk.map->count; i++)
        dirty_clear_all(&precopy->walk.dirty[i]);
    for (size_t i = 0; ret == 0 && i < SHARES; i++) {
        clock_sleep_until_ns(began + (int64_t)(seconds * shares[i] * NS_PER_SEC));
        ret = precopy_sync(precopy, &written, err);
        result->point[i] =
            (struct dirtying_sample){ (double)(clock_now_ns() - began) / NS_PER_SEC, dirty_bytes(&precopy->walk) };
    }
    result->points = SHARES;
    return ret;
}

/* ---- page-sampling ------------------------------------------------------------------------------------------------
 */

static int look_at_pages(struct ferry_guest *guest, double seconds, struct sample_result *result,
                         struct ferry_error *err)
{
    uint8_t **page = calloc(PAGES_MOST, sizeof(*page)), *copy = malloc((size_t)PAGES_MOST * FERRY_PAGE_BYTES);
    bool *changed = calloc(PAGES_MOST, sizeof(*changed));
    uint64_t random = 2463534242u;
    unsigned count = 0;
    int64_t began;

    for (unsigned i = 0; page && copy && i < PAGES_MOST; i++) {
        page[i] = any_page(guest, &random);
        memcpy(copy + (size_t)i * FERRY_PAGE_BYTES, page[i], FERRY_PAGE_BYTES);
    }
    began = clock_now_ns();
    for (size_t n = 0; page && copy && changed && n < SHARES; n++) {
        clock_sleep_until_ns(began + (int64_t)(seconds * shares[n] * NS_PER_SEC));
        for (unsigned i = 0; i < PAGES_MOST; i++) {
            if (changed[i] || memcmp(copy + (size_t)i * FERRY_PAGE_BYTES, page[i], FERRY_PAGE_BYTES) == 0)
                continue;
            changed[i] = true;
            count++;
        }
        result->point[n] = (struct dirtying_sample){ (double)(clock_now_ns() - began) / NS_PER_SEC,
                                                     result->bytes * count / PAGES_MOST };
        result->points = SHARES;
    }
    free(page);
    free(copy);
    free(changed);
    return result->points > 0 ? 0 : ferry_error_set(err, -ENOMEM, "no memory for a sample of pages");
}

int sample_guest(struct ferry_guest *guest, const struct ferry_options *options, enum sample_mode mode, double seconds,
                 struct sample_result *result, struct ferry_error *err)
{
    struct precopy precopy;
    int ret = precopy_begin(&precopy, guest, options->tracker, NULL, err);

    *result = (struct sample_result){ .bytes = (double)guest->ram.total_bytes };
    if (ret == 0)
        look_for_zeros(guest, &precopy.walk, result);
    if (ret == 0 && mode == SAMPLE_DIRTY_BITMAP)
        ret = look_at_bitmap(&precopy, seconds, result, err);
    precopy_end(&precopy);
    if (ret == 0 && mode == SAMPLE_PAGES)
        ret = look_at_pages(guest, seconds, result, err);
    if (ret == 0) {
        result->seconds = result->point[result->points - 1].seconds;
        result->dirty_bytes_per_sec = result->point[result->points - 1].bytes / result->seconds;
    }
    return ret;
}

/* ---- a codec ------------------------------------------------------------------------------------------------------
 */

/* Of this thread alone: the guest goes on beside it. */
static double cpu_sec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / NS_PER_SEC;
}

/* Raw: 1 for a batch that does not pay. */
static double encode(struct encoder *encoder, uint8_t *const *page, uint8_t *out, struct ferry_error *err)
{
    const struct codec_pages pages = { .page = page, .count = CODEC_PAGES, .page_bytes = FERRY_PAGE_BYTES };
    ssize_t bytes = encoder_encode(encoder, &pages, out, err);

    return bytes == 0 ? 1 : bytes < 0 ? -1 : (double)bytes / ((double)CODEC_PAGES * FERRY_PAGE_BYTES);
}

static int run_codec(struct ferry_guest *guest, struct encoder *encoder, struct sample_codec *result,
                     struct ferry_error *err)
{
    uint8_t *out = malloc(encoder_bound(encoder)), *page[CODEC_PAGES];
    uint64_t random = 362436069u;
    double ratio = 0, took = 0;

    for (int run = 0; out && ratio >= 0 && run < CODEC_RUNS; run++) {
        double began, one;

        for (unsigned i = 0, tries = 0; i < CODEC_PAGES; tries++) {
            page[i] = any_page(guest, &random);
            i += tries > 16 * CODEC_PAGES || !zero_test(page[i], FERRY_PAGE_BYTES);
        }
        began = cpu_sec();
        one = encode(encoder, page, out, err);
        took += cpu_sec() - began;
        ratio = one < 0 ? one : ratio + one;
    }
    free(out);
    if (!out || ratio < 0)
        return err && err->errnum ? err->errnum : -ENOMEM;
    result->ratio = ratio / CODEC_RUNS;
    result->sec_per_byte = took / ((double)CODEC_RUNS * CODEC_PAGES * FERRY_PAGE_BYTES);
    return 0;
}

int sample_codec(struct ferry_guest *guest, const struct ferry_options *options, struct sample_codec *result,
                 struct ferry_error *err)
{
    uint64_t choice = options->compress == COMPRESS_AUTO ? COMPRESS_ZSTD : options->compress;
    struct codec_terms terms = {
        .id = (enum codec_id)choice,
        .framing = CODEC_FRAMED,
        .level = options->compress_level == OPTION_AUTO ? 0 : (int)options->compress_level,
        .pages_max = CODEC_PAGES,
        .page_bytes = FERRY_PAGE_BYTES,
    };
    struct encoder *encoder;
    int ret;

    *result = (struct sample_codec){ .ratio = 1 };
    if (choice == COMPRESS_NONE || choice == COMPRESS_XBZRLE) /* deltas need a round before */
        return 0;
    encoder = encoder_new(&terms, err);
    if (!encoder)
        return err && err->errnum ? err->errnum : -ENOMEM;
    ret = run_codec(guest, encoder, result, err);
    encoder_free(encoder);
    return ret;
}
