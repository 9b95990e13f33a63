/* SPDX-License-Identifier: BSD-3-Clause */
/* page_channels_fail_test.c - whatever goes wrong on a page channel is found, named, and ends both sides */
#include "clock.h"
#include "page_channels_fixture.h"
#include "page_suspects.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Where a content page surely is: behind the zero runs and the first header with its sums. */
#define IN_PAYLOAD 20000

static void a_damaged_page_is_refused_at_the_end(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct scene scene;

    terms.sums = true;
    scene_make(&scene, 1, "tcp:127.0.0.1:0", true);
    scene.wire.flip_at = IN_PAYLOAD;
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    assert_int_equal(page_senders_finish(scene.senders, &err), 0);
    assert_int_equal(page_receivers_finish(scene.receivers, &err), -EBADMSG);
    assert_int_equal(err.code, FERRY_E_BAD_PAGE_RECORD);
    assert_non_null(strstr(err.text, "block '"));
    assert_non_null(strstr(err.text, "page "));
    assert_true(!strcmp(err.object, "a") || !strcmp(err.object, "b"));
    scene_clear(&scene);
}

static void a_damaged_page_that_comes_again_is_fine(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct scene scene;

    terms.sums = true;
    scene_make(&scene, 1, "tcp:127.0.0.1:0", true);
    scene.wire.flip_at = IN_PAYLOAD;
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned page = 0; page < PAGES; page++)
            guest_write(&scene.guest, i, page, 1 + page);
    }
    learn_what_changed(&scene);
    round_succeeds(&scene);
    end_succeeds(&scene);
    assert_arrived(&scene);
    scene_clear(&scene);
}

/* The guest wrote it while it was sent, and cleared it since. */
static void a_damaged_page_that_is_zero_by_now_is_fine(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct scene scene;

    terms.sums = true;
    scene_make(&scene, 1, "tcp:127.0.0.1:0", true);
    scene.wire.flip_at = IN_PAYLOAD;
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    for (unsigned i = 0; i < BLOCKS; i++) {
        memset(scene.from.at[i], 0, PAGES * FERRY_PAGE_BYTES);
        for (unsigned page = 0; page < PAGES; page++)
            guest_write(&scene.guest, i, page, 0);
    }
    learn_what_changed(&scene);
    round_succeeds(&scene);
    end_succeeds(&scene);
    assert_arrived(&scene);
    scene_clear(&scene);
}

/* A destination's list is as its source announced it, whatever numbers its blocks have. */
static void a_damaged_page_is_found_in_whatever_order_blocks_are(void **state)
{
    struct ram_block small = { .info.name = "small", .pages = 10, .index = 0 };
    struct ram_block large = { .info.name = "large", .pages = 100000, .index = 1 };
    struct ram_map announced = { .blocks = (struct ram_block *[]){ &large, &small }, .count = 2 };
    struct page_suspects *suspects = page_suspects_new();
    const struct ram_block *block;
    uint64_t page;

    assert_non_null(suspects);
    assert_int_equal(page_suspects_find(suspects, &announced, &block, &page), 0);
    assert_int_equal(page_suspects_add(suspects, &small, 3, NULL), 0);
    assert_int_equal(page_suspects_find(suspects, &announced, &block, &page), 1);
    assert_ptr_equal(block, &small);
    assert_int_equal(page, 3);
    assert_int_equal(page_suspects_add(suspects, &large, 99999, NULL), 0);
    assert_int_equal(page_suspects_find(suspects, &announced, &block, &page), 2);
    assert_ptr_equal(block, &large);
    assert_int_equal(page, 99999);
    page_suspects_free(suspects);
}

struct sending {
    struct scene *scene;
    struct ferry_error err;
    int64_t failed_ns;
};

/* Round after round, until it fails. */
static void *send_until_failure(void *opaque)
{
    struct sending *sending = opaque;
    struct scene *scene = sending->scene;
    uint64_t changed;

    while (send_round(scene, &sending->err) == 0) {
        for (unsigned page = 0; page < PAGES; page++)
            guest_write(&scene->guest, 0, page, 1 + page);
        if (walk_sync(&scene->walk, scene->trackers, &changed, NULL) < 0)
            break;
    }
    sending->failed_ns = clock_now_ns();
    page_senders_stop(scene->senders); /* as a session does, once it has said why */
    return NULL;
}

static bool names_one_of(const char *text, struct ferry_channel *const *chans, unsigned count)
{
    while (count > 0 && !strstr(text, ferry_channel_label(chans[count - 1])))
        count--;
    return count > 0;
}

/* The wire of the last channel is cut: the destination says so and hangs up, and the source learns of it. */
static void cut(const struct packet_format *format, unsigned channels, int64_t at)
{
    struct page_terms terms = usual_terms(format);
    struct ferry_error err = { 0 };
    struct sending sending = { 0 };
    struct scene scene;
    pthread_t thread;
    int64_t failed_ns;

    scene_make(&scene, channels, "tcp:127.0.0.1:0", true);
    scene.wire.cut_at = at;
    scene_start(&scene, &terms);
    sending.scene = &scene;
    assert_int_equal(pthread_create(&thread, NULL, send_until_failure, &sending), 0);
    while (page_receivers_sync(scene.receivers, &err) == 0)
        ;
    failed_ns = clock_now_ns();
    assert_true(names_one_of(err.text, scene.in, channels));
    assert_true(err.code == FERRY_E_STREAM_ENDED || err.code == FERRY_E_CONNECTION_LOST);
    page_receivers_free(scene.receivers);
    scene.receivers = NULL;
    for (unsigned i = 0; i < channels; i++) {
        ferry_channel_unref(scene.in[i]);
        scene.in[i] = NULL;
    }
    pthread_join(thread, NULL);
    assert_true(names_one_of(sending.err.text, scene.out, channels));
    assert_true(sending.failed_ns - failed_ns < 60 * NS_PER_SEC);
    assert_true(page_senders_wait(scene.senders, 0, &err) < 0);
    assert_true(page_senders_sync(scene.senders, &err) < 0);
    scene_clear(&scene);
}

static void a_channel_that_dies_fails_both_sides_and_is_named(void **state)
{
    static const struct packet_format *const formats[] = { &packet_v1, &packet_v2 };

    for (unsigned i = 0; i < 2; i++) {
        cut(formats[i], 1, 300000); /* in a payload */
        cut(formats[i], 2, 20);     /* in a header, of whatever comes there first */
        cut(formats[i], 2, 0);      /* between packets */
    }
}

/* One round and the end, as far as they come. */
static void *send_once(void *opaque)
{
    struct sending *sending = opaque;

    if (send_round(sending->scene, &sending->err) == 0)
        (void)page_senders_finish(sending->scene->senders, &sending->err);
    return NULL;
}

static void a_bit_that_is_turned_anywhere_is_found_or_means_nothing(void **state)
{
    static const int64_t step = 7, dense = 280, sparse = 65537;
    enum codec_id codecs[] = { CODEC_NONE, CODEC_ZSTD, CODEC_LZ4, CODEC_ZLIB };
    struct page_terms terms = usual_terms(&packet_v2);
    unsigned n = 0, found = 0;

    terms.sums = true;
    for (int64_t at = 0; at < 600000; at += at < dense ? step : sparse, n++) {
        struct ferry_error err = { 0 };
        struct sending sending = { 0 };
        struct scene scene;
        pthread_t thread;
        int ret;

        terms.codec = codecs[n % 4];
        scene_make(&scene, 1, "tcp:127.0.0.1:0", true);
        scene.wire.flip_at = at;
        scene_start(&scene, &terms);
        sending.scene = &scene;
        assert_int_equal(pthread_create(&thread, NULL, send_once, &sending), 0);
        ret = page_receivers_sync(scene.receivers, &err);
        if (ret == 0)
            ret = page_receivers_finish(scene.receivers, &err);
        found += ret < 0;
        if (ret == 0)
            assert_arrived(&scene); /* some bits of a compressed payload mean nothing */
        page_receivers_free(scene.receivers);
        scene.receivers = NULL;
        ferry_channel_unref(scene.in[0]);
        scene.in[0] = NULL;
        pthread_join(thread, NULL);
        scene_clear(&scene);
    }
    assert_true(found + 3 > n);
}

/* What the main stream says and what the channels do must fit. */
static void a_sync_too_many_or_too_few_is_refused(void **state)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct scene scene;

    scene_make(&scene, 2, NULL, false);
    scene_start(&scene, &terms);
    assert_int_equal(send_round(&scene, &err), 0);
    assert_int_equal(page_senders_finish(scene.senders, &err), 0);
    assert_int_equal(page_receivers_finish(scene.receivers, &err), -EPROTO);
    assert_non_null(strstr(err.text, ferry_channel_label(scene.in[0])));
    scene_clear(&scene);

    scene_make(&scene, 2, NULL, false);
    scene_start(&scene, &terms);
    round_succeeds(&scene);
    assert_int_equal(page_senders_finish(scene.senders, &err), 0);
    assert_int_equal(page_receivers_sync(scene.receivers, &err), -EPIPE);
    assert_int_equal(err.code, FERRY_E_STREAM_ENDED);
    scene_clear(&scene);
}

/* ---- one channel, packet by packet ------------------------------------------------------------------------------ */

static void put(struct scene *scene, const struct packet_format *format, const struct packet *packet)
{
    static uint8_t header[PACKET_HEAD_MAX + PACKET_REST_MAX];
    struct iovec iov = { header, format->encode(packet, header) };

    assert_int_equal(ferry_channel_writev_all(scene->out[0], &iov, 1, NULL), 0);
}

static void receivers_refuse(struct scene *scene, const char *why)
{
    struct ferry_error err = { 0 };

    assert_true(page_receivers_sync(scene->receivers, &err) < 0);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    assert_non_null(strstr(err.text, ferry_channel_label(scene->in[0])));
    assert_non_null(strstr(err.text, "byte "));
    page_receivers_free(scene->receivers); /* what is told may come a little later than the error */
    scene->receivers = NULL;
    assert_int_equal(atomic_load(&scene->failures), 1);
}

static void packets_out_of_order_are_refused(void **state)
{
    static struct packet packet;
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 };
    struct scene scene;

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    packet_from_zeros(&packet, scene.from.map.blocks[0], 0, 1);
    packet.sequence = 1;
    put(&scene, &packet_v2, &packet);
    receivers_refuse(&scene, "packet 1 came where 0 was due");
    scene_clear(&scene);

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    packet = (struct packet){ .kind = PACKET_SYNC, .round = 5 };
    put(&scene, &packet_v2, &packet);
    assert_int_equal(page_receivers_sync(scene.receivers, &err), 0);
    packet_from_zeros(&packet, scene.from.map.blocks[0], 0, 1);
    packet.sequence = 1;
    packet.round = 4;
    put(&scene, &packet_v2, &packet);
    receivers_refuse(&scene, "round 4 came in round 5");
    scene_clear(&scene);
}

static void what_was_not_agreed_is_refused(void **state)
{
    static struct packet packet;
    struct page_terms terms = usual_terms(&packet_v2);
    struct page_batch batch = { .limit = 2, .count = 2, .normal = 2, .pages = { 1, 2 } };
    struct scene scene;

    scene_make(&scene, 1, NULL, false);
    terms.batch_pages = 1;
    scene_start(&scene, &terms);
    batch.block = scene.from.map.blocks[0];
    packet_from_batch(&packet, &batch);
    packet.payload_bytes = 2 * FERRY_PAGE_BYTES;
    packet.block = scene.from.map.blocks[0];
    put(&scene, &packet_v2, &packet);
    receivers_refuse(&scene, "byte 0: block 'a': a packet of 2 pages, 1 were agreed");
    scene_clear(&scene);

    scene_make(&scene, 1, NULL, false);
    terms.batch_pages = 128;
    scene_start(&scene, &terms);
    packet.block = scene.from.map.blocks[0];
    packet.codec = CODEC_ZSTD;
    put(&scene, &packet_v2, &packet);
    receivers_refuse(&scene, "compressed in another way");
    scene_clear(&scene);

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    packet = (struct packet){ .kind = PACKET_DEVICE, .device = "nic", .payload_bytes = 1 };
    put(&scene, &packet_v2, &packet);
    receivers_refuse(&scene, "state of device 'nic'");
    scene_clear(&scene);
}

/* Of QEMU up to 8.2: a packet that says nothing, and a sync in a packet with pages. */
static void old_senders_packets_are_understood(void **state)
{
    static struct packet packet;
    struct page_terms terms = usual_terms(&packet_v1);
    struct page_batch batch = { .limit = 1, .count = 1, .normal = 1, .pages = { 7 } };
    struct ferry_error err = { 0 };
    uint8_t nothing[1344] = { 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1, [15] = 128 };
    struct iovec iov = { nothing, sizeof(nothing) };
    struct scene scene;

    scene_make(&scene, 1, NULL, false);
    scene_start(&scene, &terms);
    assert_int_equal(ferry_channel_writev_all(scene.out[0], &iov, 1, NULL), 0);
    batch.block = scene.from.map.blocks[1];
    packet_from_batch(&packet, &batch);
    packet.payload_bytes = FERRY_PAGE_BYTES;
    packet.sync = true;
    put(&scene, &packet_v1, &packet);
    iov = (struct iovec){ scene.from.at[1] + 7 * FERRY_PAGE_BYTES, FERRY_PAGE_BYTES };
    assert_int_equal(ferry_channel_writev_all(scene.out[0], &iov, 1, NULL), 0);
    assert_int_equal(page_receivers_sync(scene.receivers, &err), 0);
    assert_memory_equal(scene.to.at[1] + 7 * FERRY_PAGE_BYTES, scene.from.at[1] + 7 * FERRY_PAGE_BYTES,
                        FERRY_PAGE_BYTES);
    assert_int_equal(page_receivers_finish(scene.receivers, &err), 0);
    scene_clear(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_page_is_refused_at_the_end),
        cmocka_unit_test(a_damaged_page_that_comes_again_is_fine),
        cmocka_unit_test(a_damaged_page_that_is_zero_by_now_is_fine),
        cmocka_unit_test(a_damaged_page_is_found_in_whatever_order_blocks_are),
        cmocka_unit_test(a_bit_that_is_turned_anywhere_is_found_or_means_nothing),
        cmocka_unit_test(a_channel_that_dies_fails_both_sides_and_is_named),
        cmocka_unit_test(a_sync_too_many_or_too_few_is_refused),
        cmocka_unit_test(packets_out_of_order_are_refused),
        cmocka_unit_test(what_was_not_agreed_is_refused),
        cmocka_unit_test(old_senders_packets_are_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
