/* SPDX-License-Identifier: BSD-3-Clause */
/* page_channels_test.c - memory that is written all the while arrives as it is, over any number of page channels */
#include "clock.h"
#include "page_channels_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 4 /* while the guest runs */

/* Several rounds under a guest that writes, one when it stands still. */
static void migrate(unsigned channels, const char *uri, const struct page_terms *terms)
{
    struct page_figures out, in;
    uint64_t by_codec = 0;
    struct scene scene;

    scene_make(&scene, channels, uri, false);
    scene_start(&scene, terms);
    assert_int_equal(pthread_create(&scene.guest.thread, NULL, guest_main, &scene.guest), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        round_succeeds(&scene);
        learn_what_changed(&scene);
    }
    atomic_store(&scene.guest.stop, true);
    pthread_join(scene.guest.thread, NULL);
    learn_what_changed(&scene);
    round_succeeds(&scene);
    end_succeeds(&scene);
    assert_arrived(&scene);
    for (unsigned i = 0; i < channels; i++) {
        page_senders_figures(scene.senders, i, &out);
        page_receivers_figures(scene.receivers, i, &in);
        assert_int_equal(out.bytes, in.bytes);
        assert_int_equal(out.packets, in.packets);
        assert_int_equal(out.content_pages, in.content_pages);
        assert_int_equal(out.zero_pages, in.zero_pages);
        assert_memory_equal(out.codec_bytes, in.codec_bytes, sizeof(out.codec_bytes));
        by_codec += in.codec_pages[terms->codec == CODEC_AUTO ? CODEC_NONE : terms->codec];
    }
    assert_true(by_codec > 0);
    scene_clear(&scene);
}

static void memory_arrives_over_any_number_of_channels_of_either_format(void **state)
{
    static const char *const uris[] = { "tcp:127.0.0.1:0", NULL };
    static const unsigned counts[] = { 1, 2, CHANNELS };

    for (unsigned i = 0; i < 6; i++) {
        struct page_terms v1 = usual_terms(&packet_v1), v2 = usual_terms(&packet_v2);

        migrate(counts[i / 2], uris[i % 2], &v1);
        v2.sums = i % 2;
        migrate(counts[i / 2], uris[i % 2], &v2);
        v2.batch_pages = 100;
        v2.pin = true;
        migrate(counts[i / 2], uris[i % 2], &v2);
    }
}

static void memory_arrives_through_every_codec(void **state)
{
    static const enum codec_id codecs[] = { CODEC_ZLIB, CODEC_ZSTD, CODEC_LZ4, CODEC_XBZRLE, CODEC_AUTO };

    for (unsigned i = 0; i < 5; i++) {
        struct page_terms v1 = usual_terms(&packet_v1), v2 = usual_terms(&packet_v2);

        v1.codec = v2.codec = codecs[i];
        v2.sums = true;
        migrate(3, "tcp:127.0.0.1:0", &v2);
        if (codecs[i] == CODEC_ZLIB || codecs[i] == CODEC_ZSTD)
            migrate(3, "tcp:127.0.0.1:0", &v1);
    }
}

static void untouched_memory_is_not_read_and_costs_no_bytes(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct page_figures figures;
    struct scene scene;

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    page_senders_figures(scene.senders, 0, &figures);
    assert_int_equal(figures.content_pages + figures.zero_pages, BLOCKS * PAGES);
    assert_true(figures.zero_pages > BLOCKS * PAGES / 2);
    assert_true(figures.bytes - figures.content_pages * FERRY_PAGE_BYTES < 16384);
    end_succeeds(&scene);
    assert_arrived(&scene);
    scene_clear(&scene);
}

/* Each round begins with another codec than the one before it, and most change once more on their way. */
static void the_codec_can_change_at_any_time(void **state)
{
    static const enum codec_id codecs[] = { CODEC_NONE,   CODEC_ZSTD, CODEC_XBZRLE, CODEC_AUTO,
                                            CODEC_XBZRLE, CODEC_LZ4,  CODEC_XBZRLE };
    struct page_terms v1 = usual_terms(&packet_v1), v2 = usual_terms(&packet_v2);
    uint64_t pages[CODEC_COUNT] = { 0 };
    struct page_figures figures;
    struct scene scene;

    v2.sums = true;
    v2.codec = CODEC_AUTO; /* whatever comes is taken */
    v2.level = 12;         /* lz4 and zstd have it */
    scene_make(&scene, 3, NULL, false);
    scene_start(&scene, &v2);
    assert_int_equal(pthread_create(&scene.guest.thread, NULL, guest_main, &scene.guest), 0);
    for (unsigned i = 1; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        assert_int_equal(page_senders_set_codec(scene.senders, codecs[i - 1], NULL), 0);
        page_senders_begin(scene.senders, ++scene.round);
        assert_int_equal(page_senders_set_codec(scene.senders, codecs[i], NULL), 0);
        while (page_senders_wait(scene.senders, 50 * NS_PER_MS, NULL) == -ETIMEDOUT)
            ;
        assert_int_equal(page_senders_sync(scene.senders, NULL), 0);
        assert_int_equal(page_receivers_sync(scene.receivers, NULL), 0);
        for (unsigned page = 1200; page < 1700; page++) /* that compress well, whatever the guest does */
            guest_write(&scene.guest, 0, page, 1 + 11 * i);
        learn_what_changed(&scene);
        round_succeeds(&scene);
        learn_what_changed(&scene);
    }
    atomic_store(&scene.guest.stop, true);
    pthread_join(scene.guest.thread, NULL);
    learn_what_changed(&scene);
    round_succeeds(&scene);
    end_succeeds(&scene);
    assert_arrived(&scene);
    for (unsigned i = 0; i < scene.count; i++) {
        page_receivers_figures(scene.receivers, i, &figures);
        for (unsigned codec = 0; codec < CODEC_COUNT; codec++)
            pages[codec] += figures.codec_pages[codec];
    }
    assert_true(pages[CODEC_ZSTD] > 0 && pages[CODEC_XBZRLE] > 0 && pages[CODEC_LZ4] > 0 && pages[CODEC_ZLIB] == 0);
    scene_clear(&scene);

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &v1);
    assert_int_equal(page_senders_set_codec(scene.senders, CODEC_ZSTD, NULL), -ENOTSUP);
    assert_int_equal(page_senders_set_codec(scene.senders, CODEC_NONE, NULL), 0);
    round_succeeds(&scene);
    end_succeeds(&scene);
    scene_clear(&scene);
}

#define REWRITTEN 2500 /* pages of each block */

static uint64_t delta_bytes(struct scene *scene)
{
    struct page_figures figures;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < scene->count; i++) {
        page_senders_figures(scene->senders, i, &figures);
        bytes += figures.codec_bytes[CODEC_XBZRLE];
    }
    return bytes;
}

/* The pages are known after two rounds; then a few words of each change.  Returns what a page costs, in bytes. */
static uint64_t cost_of_a_rewritten_page(unsigned channels)
{
    struct page_terms terms = usual_terms(&packet_v2);
    uint64_t known = 0;
    struct scene scene;

    terms.codec = CODEC_XBZRLE;
    scene_make(&scene, channels, NULL, false);
    scene_start(&scene, &terms);
    for (unsigned round = 0; round < 2 + ROUNDS; round++) {
        round_succeeds(&scene);
        known = round == 1 ? delta_bytes(&scene) : known;
        for (unsigned page = 0; page < BLOCKS * REWRITTEN; page++)
            guest_write(&scene.guest, page % BLOCKS, page / BLOCKS, 1 + 11 * round);
        learn_what_changed(&scene);
    }
    round_succeeds(&scene);
    end_succeeds(&scene);
    assert_arrived(&scene);
    known = delta_bytes(&scene) - known;
    scene_clear(&scene);
    return known / (BLOCKS * REWRITTEN * (ROUNDS + 1));
}

static void deltas_are_as_small_over_many_channels_as_over_one(void **state)
{
    uint64_t one = cost_of_a_rewritten_page(1), four = cost_of_a_rewritten_page(4);

    print_message("a page with a few new words: %" PRIu64 " bytes over one channel, %" PRIu64 " over four\n", one,
                  four);
    assert_true(one < FERRY_PAGE_BYTES / 4);
    assert_true(four <= one + one / 10);
}

struct stopper {
    struct scene *scene;
    bool sender;
};

static void *stop_main(void *opaque)
{
    struct stopper *stopper = opaque;

    if (stopper->sender)
        page_senders_stop(stopper->scene->senders);
    else
        page_receivers_stop(stopper->scene->receivers);
    return NULL;
}

/* Nobody reads, so the senders hang in the channel; or nobody sends, so the receivers do. */
static void stopping_wakes_whoever_is_inside(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct stopper stopper;
    struct scene scene;
    pthread_t thread;

    scene_make(&scene, 2, NULL, false);
    scene.senders = page_senders_new(&scene.walk, scene.out, 2, &terms, NULL);
    assert_non_null(scene.senders);
    page_senders_begin(scene.senders, 1);
    assert_int_equal(page_senders_wait(scene.senders, NS_PER_MS, &err), -ETIMEDOUT);
    assert_int_equal(page_senders_sync(scene.senders, &err), -EBUSY);
    stopper = (struct stopper){ &scene, true };
    assert_int_equal(pthread_create(&thread, NULL, stop_main, &stopper), 0);
    assert_int_equal(page_senders_wait(scene.senders, 60 * NS_PER_SEC, &err), -ESHUTDOWN);
    pthread_join(thread, NULL);
    scene_clear(&scene);

    scene_make(&scene, 2, NULL, false);
    scene_start(&scene, &terms);
    stopper = (struct stopper){ &scene, false };
    assert_int_equal(pthread_create(&thread, NULL, stop_main, &stopper), 0);
    assert_int_equal(page_receivers_sync(scene.receivers, &err), -ESHUTDOWN);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&scene.failures), 0);
    scene_clear(&scene);
}

static void channels_that_are_freed_at_work_end(void **state)
{
    struct page_terms terms = usual_terms(&packet_v1);
    struct scene scene;

    scene_make(&scene, 2, NULL, false);
    scene.senders = page_senders_new(&scene.walk, scene.out, 2, &terms, NULL);
    page_senders_begin(scene.senders, 1);
    scene_clear(&scene);
}

static void all_channels_draw_from_one_limit(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    uint64_t bytes = 0, rate = 100 << 20;
    struct page_figures figures;
    struct scene scene;
    int64_t began;

    scene_make(&scene, 4, NULL, false);
    terms.limit = ratelimit_new(rate);
    assert_non_null(terms.limit);
    scene_start(&scene, &terms);
    began = clock_now_ns();
    round_succeeds(&scene);
    for (unsigned i = 0; i < 4; i++) {
        page_senders_figures(scene.senders, i, &figures);
        bytes += figures.bytes;
    }
    assert_true((double)(clock_now_ns() - began) / NS_PER_SEC > (double)bytes / (double)rate - 0.01);
    end_succeeds(&scene);
    scene_clear(&scene);
    ratelimit_free(terms.limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_arrives_over_any_number_of_channels_of_either_format),
        cmocka_unit_test(memory_arrives_through_every_codec),
        cmocka_unit_test(untouched_memory_is_not_read_and_costs_no_bytes),
        cmocka_unit_test(the_codec_can_change_at_any_time),
        cmocka_unit_test(deltas_are_as_small_over_many_channels_as_over_one),
        cmocka_unit_test(stopping_wakes_whoever_is_inside),
        cmocka_unit_test(channels_that_are_freed_at_work_end),
        cmocka_unit_test(all_channels_draw_from_one_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
