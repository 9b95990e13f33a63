/* SPDX-License-Identifier: BSD-3-Clause */
/* load_test.c - a stream of 200 KB, cut everywhere and with every kind of flipped bit, is refused or loaded right
 *
 * Whatever arrives, the destination ends soon, with a sentence or with a guest.  This dialect has no checksums, so a
 * flip may go unseen by the loader; then the guest's own check must tell, and a guest that says it is whole must be.
 */
#include "clock.h"
#include "guest.h"

#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__)
#define FLIPS 20000
#else /* what is slow and sees no more than those two: debug builds, and the thread sanitizer's */
#define FLIPS 4000
#endif
#define PREFIX     97
#define HANG_MS    60000 /* no load of so little may take nearly as long, on however slow a machine */
#define GUEST      "pattern:size=256KiB,zero=25%,seed=7,huge=off"
#define PAGE_BYTES 4096

struct stream {
    uint8_t *data;
    size_t bytes;
    uint8_t *page; /* per byte: it is content of a page */
    void *ram;     /* what the source's block held */
    size_t ram_bytes;
};

enum outcome {
    REFUSED, /* with a sentence */
    WHOLE,   /* the guest says so, and it is */
    DAMAGED, /* the guest says so */
    WRONG,   /* the guest says that it is whole, and it is not */
    HANGS,
    SPEECHLESS, /* refused without a sentence */
};

static struct stream stream;
static struct ferry_options *options;

/* Where the pages lie, from the records of the body that begins at @at.  Returns where it ends. */
static size_t mark_pages(size_t at)
{
    for (;;) {
        uint64_t word = 0;

        for (int i = 0; i < 8; i++)
            word = word << 8 | stream.data[at + (size_t)i];
        at += 8;
        if (word & 0x10)
            return at;
        if (word & 0x04) {
            for (uint64_t left = word & ~UINT64_C(4095); left > 0;) {
                uint64_t length = 0;

                at += 1 + (size_t)stream.data[at];
                for (int i = 0; i < 8; i++)
                    length = length << 8 | stream.data[at++];
                left -= length;
            }
            continue;
        }
        if (!(word & 0x20))
            at += 1 + (size_t)stream.data[at];
        if (word & 0x08)
            memset(stream.page + at, 1, PAGE_BYTES);
        at += word & 0x08 ? PAGE_BYTES : 1;
    }
}

static size_t skip_prologue(void)
{
    return 8 + 1 + 4 + (size_t)stream.data[12];
}

/* START, PARTs and END of memory stand first; the devices behind them hold no pages. */
static void mark_stream(void)
{
    size_t at = skip_prologue();

    stream.page = calloc(1, stream.bytes);
    while (stream.data[at] >= 1 && stream.data[at] <= 3) {
        at += stream.data[at] == 1 ? 5 + 1 + (size_t)stream.data[at + 5] + 8 : 5;
        at = mark_pages(at) + 5;
    }
}

static int record_stream(void **state)
{
    struct ferry_channel *chan = ferry_channel_buffer_writer(4 << 20, NULL);
    struct bench_guest *guest = bench_guest_new(GUEST, NULL);
    struct ferry_session *session;
    const struct ferry_block *block;
    const void *data;

    options = ferry_options_new();
    if (!chan || !guest || !options || ferry_options_set(options, "prefault", "off", NULL) < 0)
        return -1;
    session = ferry_source_start(bench_guest_ferry(guest), chan, options, NULL);
    if (!session || ferry_session_wait(session, FERRY_NO_DEADLINE, NULL) < 0)
        return -1;
    ferry_session_free(session);
    data = ferry_channel_buffer_data(chan, &stream.bytes);
    stream.data = malloc(stream.bytes);
    memcpy(stream.data, data, stream.bytes);
    block = ferry_guest_block(bench_guest_ferry(guest), 0);
    stream.ram_bytes = block->length;
    stream.ram = malloc(block->length);
    memcpy(stream.ram, block->host, block->length);
    mark_stream();
    bench_guest_free(guest);
    ferry_channel_unref(chan);
    return stream.bytes > 150000 ? 0 : -1;
}

static int forget_stream(void **state)
{
    free(stream.data);
    free(stream.page);
    free(stream.ram);
    ferry_options_free(options);
    return 0;
}

static enum outcome judge(struct bench_guest *guest)
{
    const struct ferry_block *block = ferry_guest_block(bench_guest_ferry(guest), 0);
    struct bench_figures figures;
    struct bench_verify verify;

    if (bench_guest_verify(guest, 0, &verify, NULL) < 0 || verify.mismatched || verify.lost_writes)
        return DAMAGED;
    bench_guest_figures(guest, &figures);
    if (figures.pages_written > 0)
        return WHOLE; /* the flip made it write: what it wrote was checked, and differs from the source's */
    if (!block || block->length != stream.ram_bytes || memcmp(block->host, stream.ram, stream.ram_bytes) != 0)
        return WRONG;
    return WHOLE;
}

/* Load what @data holds, into a guest that knows nothing. */
static enum outcome load(const void *data, size_t bytes)
{
    struct ferry_channel *chan = ferry_channel_buffer_reader(data, bytes, NULL);
    struct bench_guest *guest = bench_guest_incoming("pattern", NULL);
    struct ferry_session *session = ferry_destination_start(bench_guest_ferry(guest), chan, options, NULL);
    struct ferry_error err = { 0 };
    enum outcome outcome;
    int ret;

    assert_non_null(session);
    ret = ferry_session_wait(session, HANG_MS, &err);
    if (ret == -ETIMEDOUT)
        outcome = HANGS;
    else if (ret < 0)
        outcome = strlen(err.text) > 20 ? REFUSED : SPEECHLESS;
    else
        outcome = judge(guest);
    ferry_session_free(session);
    bench_guest_free(guest);
    ferry_channel_unref(chan);
    return outcome;
}

static void the_whole_stream_is_loaded_right(void **state)
{
    assert_int_equal(load(stream.data, stream.bytes), WHOLE);
}

static void every_prefix_is_refused_with_a_sentence(void **state)
{
    for (size_t bytes = 0; bytes < stream.bytes; bytes += PREFIX) {
        enum outcome outcome = load(stream.data, bytes);

        if (outcome != REFUSED)
            fail_msg("the first %zu bytes: outcome %d", bytes, outcome);
    }
}

/* Bits outside of page content, chosen by a fixed sequence. */
static void flipped_bits_are_refused_or_told_by_the_guest(void **state)
{
    unsigned counts[SPEECHLESS + 1] = { 0 };
    uint64_t random = 88172645463325252u;

    for (int flip = 0; flip < FLIPS;) {
        enum outcome outcome;
        size_t at;
        uint8_t bit;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        at = (size_t)(random >> 8) % stream.bytes;
        bit = (uint8_t)(1u << (random & 7));
        if (stream.page[at])
            continue;
        flip++;
        stream.data[at] ^= bit;
        outcome = load(stream.data, stream.bytes);
        stream.data[at] ^= bit;
        counts[outcome]++;
        if (outcome == WRONG || outcome == HANGS || outcome == SPEECHLESS)
            fail_msg("bit 0x%02x of byte %zu: outcome %d", bit, at, outcome);
    }
    print_message("%u refused, %u whole, %u told by the guest\n", counts[REFUSED], counts[WHOLE], counts[DAMAGED]);
    assert_true(counts[REFUSED] > FLIPS / 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_stream_is_loaded_right),
        cmocka_unit_test(every_prefix_is_refused_with_a_sentence),
        cmocka_unit_test(flipped_bits_are_refused_or_told_by_the_guest),
    };

    return cmocka_run_group_tests(tests, record_stream, forget_stream);
}
