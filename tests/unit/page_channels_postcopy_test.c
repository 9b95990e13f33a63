/* SPDX-License-Identifier: BSD-3-Clause */
/* page_channels_postcopy_test.c - page channels change over to postcopy: each page comes once, through its new placer
 */
#include "clock.h"
#include "page_channels_fixture.h"
#include "staged_placer.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Where a content page surely is: behind the zero runs and the first header with its sums. */
#define IN_PAYLOAD 20000

struct discarding {
    struct scene *scene;
    struct staged *staged;
    uint64_t pages;
};

static int discard(void *opaque, const struct ram_block *block, uint64_t first, uint64_t count)
{
    struct discarding *discarding = opaque;
    const struct ram_block *there = discarding->scene->to.map.blocks[block->index];

    page_receivers_discard(discarding->scene->receivers, there, first, count);
    staged_discard(discarding->staged, there, first, count);
    discarding->pages += count;
    return 0;
}

/* What the main stream carries at the switch.  Returns how many pages are still to come. */
static uint64_t stand_still(struct scene *scene, struct staged *staged)
{
    struct discarding discarding = { scene, staged, 0 };

    learn_what_changed(scene);
    walk_begin_postcopy(&scene->walk);
    staged_make(staged, &scene->to.map);
    assert_int_equal(walk_each_dirty_run(&scene->walk, discard, &discarding), 0);
    return discarding.pages;
}

static int listen(struct scene *scene, struct staged *staged, struct ferry_error *err)
{
    struct placer *views[CHANNELS];

    for (unsigned i = 0; i < scene->count; i++)
        views[i] = &staged->view[i].base;
    return page_receivers_begin_postcopy(scene->receivers, views, err);
}

static void begin_background(struct scene *scene)
{
    assert_int_equal(page_senders_sync(scene->senders, NULL), 0);
    page_senders_begin_postcopy(scene->senders, ++scene->round);
}

static void await_background(struct scene *scene)
{
    struct ferry_error err = { 0 };
    int ret;

    while ((ret = page_senders_wait(scene->senders, 50 * NS_PER_MS, &err)) == -ETIMEDOUT)
        ;
    assert_string_equal(ret < 0 ? ferry_error_text(&err) : "", "");
}

static uint64_t pages_by(const struct scene *scene, enum codec_id codec)
{
    struct page_figures figures;
    uint64_t pages = 0;

    for (unsigned i = 0; i < scene->count; i++) {
        page_senders_figures(scene->senders, i, &figures);
        pages += figures.codec_pages[codec];
    }
    return pages;
}

static void migrate(unsigned channels, const struct page_terms *terms)
{
    uint64_t pages, deltas;
    struct scene scene;
    struct staged staged;

    scene_make(&scene, channels, "tcp:127.0.0.1:0", false);
    scene_start(&scene, terms);
    assert_int_equal(pthread_create(&scene.guest.thread, NULL, guest_main, &scene.guest), 0);
    for (unsigned i = 0; i < 3; i++) {
        round_succeeds(&scene);
        learn_what_changed(&scene);
    }
    atomic_store(&scene.guest.stop, true);
    pthread_join(scene.guest.thread, NULL);
    for (unsigned page = 1; page < PAGES; page += 1 + page % 3) /* however little the guest got to do */
        guest_write(&scene.guest, page % BLOCKS, page, page);
    pages = stand_still(&scene, &staged);
    assert_true(pages > 0);
    assert_int_equal(pages, walk_pending(&scene.walk));
    deltas = pages_by(&scene, CODEC_XBZRLE);

    begin_background(&scene);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    await_background(&scene);
    end_succeeds(&scene);
    staged_assert_once(&staged);
    assert_int_equal(atomic_load(&staged.placed), pages);
    assert_int_equal(pages_by(&scene, CODEC_XBZRLE), deltas);
    assert_arrived(&scene);
    scene_clear(&scene);
    staged_clear(&staged);
}

static void every_missing_page_comes_once_whatever_the_codec(void **state)
{
    static const enum codec_id codecs[] = { CODEC_NONE, CODEC_ZSTD, CODEC_LZ4, CODEC_XBZRLE, CODEC_AUTO };
    struct page_terms terms = usual_terms(&packet_v2);

    for (unsigned i = 0; i < 5; i++) {
        terms.codec = codecs[i];
        terms.sums = i % 2;
        terms.batch_pages = i % 2 ? BATCH_PAGES : BATCH_PAGES_MAX;
        migrate(1 + 2 * (i % 2), &terms);
    }
}

/* Everything from the first byte on: nothing was sent before, and what was never touched goes unread. */
static void postcopy_may_begin_at_once(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct page_figures figures;
    struct scene scene;
    struct staged staged;

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    assert_int_equal(stand_still(&scene, &staged), BLOCKS * PAGES);
    assert_int_equal(walk_look_untouched(&scene.walk, NULL), 0);
    begin_background(&scene);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    await_background(&scene);
    end_succeeds(&scene);
    staged_assert_once(&staged);
    assert_arrived(&scene);
    page_senders_figures(scene.senders, 0, &figures);
    assert_true(figures.zero_pages > BLOCKS * PAGES / 2);
    assert_true(figures.bytes - figures.content_pages * FERRY_PAGE_BYTES < 16384);
    scene_clear(&scene);
    staged_clear(&staged);
}

/* A page that was taken and then asked for is not behind many others. */
static void little_is_in_hand_where_the_background_is_limited(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct page_figures before, after;
    struct scene scene;
    struct staged staged;

    terms.limit = ratelimit_new(RATELIMIT_UNLIMITED);
    assert_non_null(terms.limit);
    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    for (unsigned page = 1000; page < 1040; page++)
        guest_write(&scene.guest, 1, page, 1 + page);
    assert_int_equal(stand_still(&scene, &staged), 40);
    ratelimit_set(terms.limit, 2 * 1000 * FERRY_PAGE_BYTES);
    page_senders_figures(scene.senders, 0, &before);
    begin_background(&scene);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    await_background(&scene);
    page_senders_figures(scene.senders, 0, &after);
    assert_int_equal(after.packets - before.packets, 1 + 20); /* SYNC, and two pages each */
    end_succeeds(&scene);
    staged_assert_once(&staged);
    scene_clear(&scene);
    staged_clear(&staged);
    ratelimit_free(terms.limit);
}

/* The source is ahead: its pages wait behind the sync until their placers are there. */
static void nothing_is_placed_before_the_destination_listens(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct scene scene;
    struct staged staged;

    scene_make(&scene, 2, NULL, false);
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    for (unsigned page = 5; page < 25; page++) /* fits the sockets */
        guest_write(&scene.guest, 1, page, 1 + page);
    assert_int_equal(stand_still(&scene, &staged), 20);
    begin_background(&scene);
    await_background(&scene);
    assert_int_equal(page_senders_finish(scene.senders, NULL), 0);
    assert_int_equal(atomic_load(&staged.placed), 0);
    for (unsigned page = 5; page < 25; page++)
        assert_int_equal(scene.to.at[1][page * FERRY_PAGE_BYTES], 0xa5);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    assert_int_equal(page_receivers_finish(scene.receivers, NULL), 0);
    staged_assert_once(&staged);
    assert_arrived(&scene);
    scene_clear(&scene);
    staged_clear(&staged);
}

static void *sync_late(void *opaque)
{
    struct scene *scene = opaque;

    clock_sleep_until_ns(clock_now_ns() + 20 * NS_PER_MS);
    if (send_round(scene, NULL) < 0)
        page_receivers_stop(scene->receivers);
    return NULL;
}

/* Before pages are dropped nobody writes guest memory any more, however late the last one is. */
static void channels_stand_still_at_the_switch(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct scene scene;
    struct staged staged;
    pthread_t thread;

    scene_make(&scene, 2, NULL, false);
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    for (unsigned page = 5; page < 25; page++)
        guest_write(&scene.guest, 1, page, 1 + page);
    learn_what_changed(&scene);
    assert_int_equal(pthread_create(&thread, NULL, sync_late, &scene), 0);
    assert_int_equal(page_receivers_await_postcopy(scene.receivers, &err), 0);
    assert_arrived(&scene);
    pthread_join(thread, NULL);
    assert_int_equal(page_receivers_await_postcopy(scene.receivers, &err), 0);

    guest_write(&scene.guest, 1, 7, 1000);
    assert_int_equal(stand_still(&scene, &staged), 1);
    page_senders_begin_postcopy(scene.senders, ++scene.round);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    await_background(&scene);
    end_succeeds(&scene);
    staged_assert_once(&staged);
    scene_clear(&scene);
    staged_clear(&staged);
}

static void a_damaged_page_is_refused_at_once_and_not_placed(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct scene scene;
    struct staged staged;

    terms.sums = true;
    scene_make(&scene, 1, "tcp:127.0.0.1:0", true);
    scene.wire.flip_at = IN_PAYLOAD;
    scene_start(&scene, &terms);
    assert_true(stand_still(&scene, &staged) > 0);
    begin_background(&scene);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    assert_int_equal(page_receivers_finish(scene.receivers, &err), -EBADMSG);
    assert_int_equal(err.code, FERRY_E_BAD_PAGE_RECORD);
    assert_non_null(strstr(err.text, "checksum"));
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned page = 0; page < PAGES; page++) {
            if (atomic_load(&staged.arrived[i][page]))
                assert_memory_equal(scene.to.at[i] + page * FERRY_PAGE_BYTES,
                                    scene.from.at[i] + page * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES);
        }
    }
    scene_clear(&scene);
    staged_clear(&staged);
}

/* Damaged in precopy: harmless if the page was written since, and so comes again; else an error. */
static void what_was_damaged_before_must_come_again(void **state)
{
    for (unsigned again = 0; again < 2; again++) {
        struct page_terms terms = usual_terms(&packet_v2);
        struct ferry_error err = { 0 };
        struct scene scene;
        struct staged staged;

        terms.sums = true;
        scene_make(&scene, 1, "tcp:127.0.0.1:0", true);
        scene.wire.flip_at = IN_PAYLOAD;
        scene_start(&scene, &terms);
        round_succeeds(&scene);
        for (unsigned page = 0; again && page < PAGES; page++)
            guest_write(&scene.guest, 0, page, 1 + page);
        assert_int_equal(stand_still(&scene, &staged), again ? PAGES : 0);
        begin_background(&scene);
        assert_int_equal(listen(&scene, &staged, &err), again ? 0 : -EBADMSG);
        if (again) {
            await_background(&scene);
            end_succeeds(&scene);
            assert_arrived(&scene);
        }
        scene_clear(&scene);
        staged_clear(&staged);
    }
}

/* A page that is not missing is not for the source to send. */
static void a_page_that_was_never_discarded_is_refused(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct scene scene;
    struct staged staged;

    scene_make(&scene, 2, NULL, false);
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    guest_write(&scene.guest, 1, 9, 1);
    assert_int_equal(stand_still(&scene, &staged), 1);
    atomic_store(&staged.missing[1][9], 0);
    begin_background(&scene);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    assert_int_equal(page_receivers_finish(scene.receivers, &err), -EPROTO);
    assert_non_null(strstr(err.text, "page 9"));
    page_receivers_free(scene.receivers);
    scene.receivers = NULL;
    assert_int_equal(atomic_load(&scene.failures), 1);
    scene_clear(&scene);
    staged_clear(&staged);
}

/* What a delta would be against is not there any more. */
static void a_delta_is_refused(void **state)
{
    static struct packet packet;
    struct page_terms terms = usual_terms(&packet_v2);
    uint8_t sync[PACKET_HEAD_MAX], header[PACKET_HEAD_MAX + PACKET_REST_MAX], nothing_changed[2] = { 0 };
    struct page_batch batch = { .limit = 1, .count = 1, .normal = 1, .pages = { 9 } };
    struct ferry_error err = { 0 };
    struct scene scene;
    struct staged staged;

    terms.codec = CODEC_AUTO;
    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    assert_true(stand_still(&scene, &staged) > 0);
    packet.kind = PACKET_SYNC;
    assert_int_equal(
        ferry_channel_writev_all(scene.out[0], &(struct iovec){ sync, packet_v2.encode(&packet, sync) }, 1, NULL), 0);
    assert_int_equal(listen(&scene, &staged, NULL), 0);
    batch.block = scene.from.map.blocks[1];
    packet_from_batch(&packet, &batch);
    packet.sequence = packet.round = 1;
    packet.codec = CODEC_XBZRLE;
    packet.payload_bytes = sizeof(nothing_changed);
    assert_int_equal(ferry_channel_writev_all(scene.out[0],
                                              (struct iovec[]){ { header, packet_v2.encode(&packet, header) },
                                                                { nothing_changed, sizeof(nothing_changed) } },
                                              2, NULL),
                     0);
    assert_int_equal(page_receivers_finish(scene.receivers, &err), -EPROTO);
    assert_non_null(strstr(err.text, "block 'b': deltas of pages"));
    assert_int_equal(atomic_load(&staged.placed), 0);
    page_receivers_free(scene.receivers);
    scene.receivers = NULL;
    scene_clear(&scene);
    staged_clear(&staged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_missing_page_comes_once_whatever_the_codec),
        cmocka_unit_test(postcopy_may_begin_at_once),
        cmocka_unit_test(little_is_in_hand_where_the_background_is_limited),
        cmocka_unit_test(nothing_is_placed_before_the_destination_listens),
        cmocka_unit_test(channels_stand_still_at_the_switch),
        cmocka_unit_test(a_damaged_page_is_refused_at_once_and_not_placed),
        cmocka_unit_test(what_was_damaged_before_must_come_again),
        cmocka_unit_test(a_page_that_was_never_discarded_is_refused),
        cmocka_unit_test(a_delta_is_refused),
    };

    return cmocka_run_group_tests_name("page_channels_postcopy", tests, NULL, NULL);
}
