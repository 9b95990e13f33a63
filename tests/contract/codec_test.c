/* SPDX-License-Identifier: BSD-3-Clause */
/* codec_test.c - what every codec promises, asked of every codec */
#include "codec.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGE  4096u
#define PAGES 128u

/* Pages at both sides, the destination's with a page that must not be touched behind each end. */
struct bench {
    struct codec_terms terms;
    struct encoder *encoder;
    struct decoder *decoder;
    uint8_t *from, *to, *guarded, *out;
    uint8_t *from_page[PAGES], *to_page[PAGES];
    uint64_t key[PAGES];
};

static const struct codec_terms kinds[] = {
    { CODEC_ZLIB, CODEC_FRAMED, 0 },   { CODEC_ZLIB, CODEC_FRAMED, 6 },
    { CODEC_ZLIB, CODEC_STREAM, 0 },   { CODEC_ZLIB, CODEC_STREAM, CODEC_LEVEL_ZERO },
    { CODEC_ZLIB, CODEC_STREAM, 3 },   { CODEC_ZSTD, CODEC_FRAMED, 0 },
    { CODEC_ZSTD, CODEC_STREAM, 0 },   { CODEC_ZSTD, CODEC_STREAM, 5 },
    { CODEC_LZ4, CODEC_FRAMED, 0 },    { CODEC_LZ4, CODEC_FRAMED, 9 },
    { CODEC_XBZRLE, CODEC_FRAMED, 0 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void bench_open(struct bench *bench, const struct codec_terms *kind)
{
    struct ferry_error err;

    memset(bench, 0, sizeof(*bench));
    bench->terms = *kind;
    bench->terms.pages_max = PAGES;
    bench->terms.page_bytes = PAGE;
    bench->encoder = encoder_new(&bench->terms, &err);
    bench->decoder = decoder_new(&bench->terms, &err);
    assert_true(bench->encoder && bench->decoder);
    bench->from = calloc(PAGES, PAGE);
    bench->guarded = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(bench->from && bench->guarded != MAP_FAILED);
    bench->to = bench->guarded + PAGE;
    assert_int_equal(mprotect(bench->to, PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
    bench->out = malloc(encoder_bound(bench->encoder));
    assert_non_null(bench->out);
    for (unsigned i = 0; i < PAGES; i++) {
        bench->from_page[i] = bench->from + (size_t)i * PAGE;
        bench->to_page[i] = bench->to + (size_t)i * PAGE;
        bench->key[i] = 1000 + i;
    }
}

static void bench_close(struct bench *bench)
{
    encoder_free(bench->encoder);
    decoder_free(bench->decoder);
    free(bench->from);
    free(bench->out);
    munmap(bench->guarded, (PAGES + 2) * PAGE);
}

static uint64_t dice = 88172645463325252u;

static uint64_t throw(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

static void fill_random(uint8_t *page)
{
    for (unsigned i = 0; i < PAGE; i += 8)
        memcpy(page + i, &(uint64_t){ throw() }, 8);
}

static void fill_text(uint8_t *page)
{
    static const char words[] = "the page channel carries a batch of pages through its codec into the wire and back ";

    for (unsigned i = 0; i < PAGE; i++)
        page[i] = (uint8_t)words[(i + throw() % 3) % (sizeof(words) - 1)];
}

static void fill(struct bench *bench, unsigned kind)
{
    for (unsigned i = 0; i < PAGES; i++) {
        uint8_t *page = bench->from_page[i];

        switch (kind == 3 ? i % 3 : kind) {
        case 0:
            memset(page, 0, PAGE);
            break;
        case 1:
            fill_random(page);
            break;
        default:
            fill_text(page);
        }
    }
}

static ssize_t encode(struct bench *bench, unsigned first, unsigned count)
{
    const struct codec_pages pages = { bench->from_page + first, bench->key + first, count, PAGE };
    struct ferry_error err = { 0 };

    return encoder_encode(bench->encoder, &pages, bench->out, &err);
}

static int decode(struct bench *bench, size_t bytes, unsigned first, unsigned count)
{
    const struct codec_pages pages = { bench->to_page + first, NULL, count, PAGE };
    struct ferry_error err = { 0 };
    int ret = decoder_decode(bench->decoder, bench->out, bytes, &pages, &err);

    assert_true(ret == 0 || err.text[0]);
    return ret;
}

/* Batch after batch, of all contents and sizes, with pages in order and scattered. */
static void what_goes_in_comes_out(void **state)
{
    static const unsigned counts[] = { PAGES, 1, 2, 77, PAGES };

    for (size_t k = 0; k < KINDS; k++) {
        struct bench bench;

        bench_open(&bench, &kinds[k]);
        for (unsigned content = 0; content < 8; content++) {
            unsigned count = counts[content % 5], first = PAGES - count, other = first + (count > 1);
            ssize_t bytes;

            fill(&bench, content % 4);
            if (content == 6) { /* scattered */
                uint8_t *swap = bench.to_page[3];

                bench.to_page[3] = bench.to_page[other];
                bench.to_page[other] = swap;
            }
            bytes = encode(&bench, first, count);
            assert_true(bytes >= 0 && (size_t)bytes <= encoder_bound(bench.encoder));
            if (bytes == 0) {
                assert_int_equal(bench.terms.framing, CODEC_FRAMED);
                assert_int_equal(content % 4, 1);
                continue;
            }
            assert_int_equal(decode(&bench, (size_t)bytes, first, count), 0);
            for (unsigned i = first; i < first + count; i++)
                assert_memory_equal(bench.to_page[i], bench.from_page[i], PAGE);
        }
        bench_close(&bench);
    }
}

static void what_does_not_pay_is_said_so(void **state)
{
    for (size_t k = 0; k < KINDS; k++) {
        struct bench bench;
        ssize_t bytes;

        bench_open(&bench, &kinds[k]);
        fill(&bench, 1);
        bytes = encode(&bench, 0, PAGES);
        if (bench.terms.framing == CODEC_FRAMED && bench.terms.id != CODEC_XBZRLE)
            assert_int_equal(bytes, 0);
        else
            assert_true(bytes > 0);
        fill(&bench, 2);
        bytes = encode(&bench, 0, PAGES);
        assert_true(bytes > 0);
        if (bench.terms.id != CODEC_XBZRLE && bench.terms.level != CODEC_LEVEL_ZERO)
            assert_true((size_t)bytes < PAGES * PAGE);
        bench_close(&bench);
    }
}

static void a_payload_cut_or_made_longer_is_refused(void **state)
{
    static const uint8_t more[] = { 0, 1, 0xff, 0x28 };

    for (size_t k = 0; k < KINDS; k++) {
        struct bench bench;
        ssize_t bytes;
        int ret;

        for (unsigned cut = 0; cut < 20; cut++) {
            bench_open(&bench, &kinds[k]);
            fill(&bench, 3);
            bytes = encode(&bench, 0, 9);
            assert_true(bytes > 40);
            assert_int_equal(decode(&bench, (size_t)bytes * cut / 20, 0, 9), -EPROTO);
            bench_close(&bench);
        }
        for (unsigned i = 0; i < sizeof(more); i++) {
            bench_open(&bench, &kinds[k]);
            fill(&bench, 3);
            bytes = encode(&bench, 0, 9);
            for (unsigned byte = 0; byte < 40; byte++)
                bench.out[bytes + byte] = more[i];
            ret = decode(&bench, (size_t)bytes + 40, 0, 9);
            /* In a stream it may be the beginning of something that the next payload goes on with. */
            assert_true(ret == -EPROTO || (ret == 0 && bench.terms.framing == CODEC_STREAM));
            if (ret == 0)
                assert_memory_equal(bench.to, bench.from, 9 * PAGE);
            bench_close(&bench);
        }
        bench_open(&bench, &kinds[k]);
        fill(&bench, 3);
        bytes = encode(&bench, 0, 9);
        assert_int_equal(decode(&bench, (size_t)bytes, 0, 8), -EPROTO);
        bench_close(&bench);
        bench_open(&bench, &kinds[k]);
        fill(&bench, 3);
        bytes = encode(&bench, 0, 8);
        assert_int_equal(decode(&bench, (size_t)bytes, 0, 9), -EPROTO);
        bench_close(&bench);
    }
}

/* Whatever comes out: nothing outside of the pages is touched, which the pages without access around them see to. */
static void a_damaged_payload_harms_nothing(void **state)
{
    for (size_t k = 0; k < KINDS; k++) {
        for (unsigned round = 0; round < 60; round++) {
            struct bench bench;
            ssize_t bytes;

            bench_open(&bench, &kinds[k]);
            fill(&bench, 3);
            bytes = encode(&bench, 0, 6);
            assert_true(bytes > 0);
            for (unsigned i = 0; i <= round % 4; i++)
                bench.out[throw() % (uint64_t)bytes] ^= (uint8_t)(1u << throw() % 8);
            (void)!decode(&bench, (size_t)bytes, PAGES - 6, 6);
            bench_close(&bench);
        }
    }
}

/* The race is what this is about: not for a build that takes every race for an error. */
#if defined(__SANITIZE_THREAD__)
#define RACES_ARE_ERRORS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACES_ARE_ERRORS 1
#endif
#endif

#ifndef RACES_ARE_ERRORS
static atomic_bool writing;

static void *write_on(void *opaque)
{
    struct bench *bench = opaque;
    uint64_t value = 1;

    while (atomic_load(&writing)) {
        value = value * 6364136223846793005u + 1442695040888963407u;
        __atomic_store_n((uint64_t *)(void *)(bench->from + (value >> 20) % (PAGES * PAGE / 8) * 8), value,
                         __ATOMIC_RELAXED);
    }
    return NULL;
}

static void pages_may_change_under_the_encoder(void **state)
{
    for (size_t k = 0; k < KINDS; k++) {
        struct bench bench;
        pthread_t writer;

        bench_open(&bench, &kinds[k]);
        fill(&bench, 2);
        atomic_store(&writing, true);
        assert_int_equal(pthread_create(&writer, NULL, write_on, &bench), 0);
        for (unsigned round = 0; round < 30; round++) {
            ssize_t bytes = encode(&bench, 0, PAGES);

            assert_true(bytes >= 0);
            if (bytes > 0)
                assert_int_equal(decode(&bench, (size_t)bytes, 0, PAGES), 0);
        }
        atomic_store(&writing, false);
        pthread_join(writer, NULL);
        bench_close(&bench);
    }
}
#endif

/* A page in two rounds: little has changed, so little goes out; and a page that was forgotten goes out whole. */
static void deltas_are_against_what_the_other_end_has(void **state)
{
    const struct codec_terms kind = { CODEC_XBZRLE, CODEC_FRAMED, 0 };
    struct codec_pages pages;
    struct bench bench;
    ssize_t bytes;

    bench_open(&bench, &kind);
    fill(&bench, 1);
    assert_true(encode(&bench, 0, 4) == 4 * (PAGE + 2));
    assert_int_equal(decode(&bench, 4 * (PAGE + 2), 0, 4), 0);
    bench.from_page[1][100]++;
    bench.from_page[2][4095]++;
    bytes = encode(&bench, 0, 4);
    assert_true(bytes > 8 && bytes < 30);
    assert_int_equal(decode(&bench, (size_t)bytes, 0, 4), 0);
    assert_memory_equal(bench.to, bench.from, 4 * PAGE);
    pages = (struct codec_pages){ bench.from_page, bench.key, 2, PAGE };
    encoder_forget(bench.encoder, &pages);
    assert_true(encode(&bench, 0, 4) == 2 * (PAGE + 2) + 2 * 2);
    bench_close(&bench);
}

/* What lz4 sent is what the other end has; more pages than the cache has places cannot all be known. */
static void deltas_learn_what_others_sent(void **state)
{
    struct codec_terms small = { CODEC_XBZRLE, CODEC_FRAMED, 0, PAGES, PAGE, 16 * PAGE };
    const struct codec_terms kind = { CODEC_LZ4, CODEC_FRAMED, 0 };
    struct encoder *deltas = encoder_new(&small, NULL);
    struct codec_pages pages;
    struct bench bench;
    uint8_t out[PAGES * (PAGE + 2)];
    unsigned known;

    assert_non_null(deltas);
    bench_open(&bench, &kind);
    fill(&bench, 2);
    pages = (struct codec_pages){ bench.from_page, bench.key, 4, PAGE };
    assert_int_equal(encoder_knows(deltas, &pages), 0);
    assert_int_equal(encoder_knows(bench.encoder, &pages), 0);
    assert_true(encode(&bench, 0, 4) > 0);
    bench.from_page[0][7]++; /* after it was sent */
    encoder_learn(deltas, bench.encoder, &pages);
    assert_int_equal(encoder_knows(deltas, &pages), 4);
    assert_int_equal(encoder_encode(deltas, &pages, out, NULL), 4 * 2 + 3);
    fill_random(bench.from_page[1]);
    assert_int_equal(encoder_encode(deltas, &pages, out, NULL), 4 * 2 + PAGE);
    encoder_forget(deltas, &pages);
    assert_true(encoder_encode(deltas, &pages, out, NULL) == 4 * (PAGE + 2));
    pages.count = PAGES;
    assert_true(encode(&bench, 0, PAGES) > 0);
    encoder_learn(deltas, bench.encoder, &pages);
    known = encoder_knows(deltas, &pages);
    assert_true(known > 0 && known <= 16);
    encoder_free(deltas);
    bench_close(&bench);
}

static void what_a_codec_has_not_is_refused(void **state)
{
    static const struct codec_terms wrong[] = {
        { CODEC_NONE, CODEC_FRAMED, 0, PAGES, PAGE },
        { CODEC_LZ4, CODEC_STREAM, 0, PAGES, PAGE },
        { CODEC_ZLIB, CODEC_FRAMED, 10, PAGES, PAGE },
        { CODEC_ZSTD, CODEC_FRAMED, 21, PAGES, PAGE },
        { CODEC_LZ4, CODEC_FRAMED, CODEC_LEVEL_ZERO, PAGES, PAGE },
        { CODEC_XBZRLE, CODEC_FRAMED, 1, PAGES, PAGE },
        { CODEC_XBZRLE, CODEC_STREAM, 0, PAGES, PAGE },
        { CODEC_AUTO, CODEC_FRAMED, 0, PAGES, PAGE },
        { CODEC_LZ4, CODEC_FRAMED, 13, PAGES, PAGE },
        { (enum codec_id)77, CODEC_FRAMED, 0, PAGES, PAGE },
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ferry_error err = { 0 };

        assert_null(encoder_new(&wrong[i], &err));
        assert_int_equal(err.errnum, -EINVAL);
        assert_true(err.text[0]);
    }
    assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
    assert_string_equal(codec_name((enum codec_id)77), "?");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(what_does_not_pay_is_said_so),
        cmocka_unit_test(a_payload_cut_or_made_longer_is_refused),
        cmocka_unit_test(a_damaged_payload_harms_nothing),
#ifndef RACES_ARE_ERRORS
        cmocka_unit_test(pages_may_change_under_the_encoder),
#endif
        cmocka_unit_test(deltas_are_against_what_the_other_end_has),
        cmocka_unit_test(deltas_learn_what_others_sent),
        cmocka_unit_test(what_a_codec_has_not_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
