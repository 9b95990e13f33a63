/* SPDX-License-Identifier: BSD-3-Clause */
/* page_parts_test.c - pieces of devices' state cross beside pages, each once and whole, or not at all */
#include "bytes.h"
#include "page_channels_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PIECES 200

/* A device at either side: pieces of many sizes, each of which says which it is. */
struct device {
    atomic_uint next;         /* to be taken */
    atomic_uint came[PIECES]; /* how often */
    atomic_uint wrong;
    int fails; /* what either side returns for piece 50 */
};

static size_t piece_bytes(unsigned piece)
{
    return piece % 3 == 0 ? FERRY_PART_MAX - piece : 4 + piece * 37;
}

static ssize_t take(void *opaque, struct packet *packet, uint8_t *to, struct ferry_error *err)
{
    struct device *device = opaque;
    unsigned piece = atomic_fetch_add(&device->next, 1);

    if (piece == 50 && device->fails)
        return ferry_error_set(err, device->fails, "the device broke");
    if (piece >= PIECES)
        return 0;
    strcpy(packet->device, "gpu");
    packet->instance = 7;
    memset(to, (int)piece, piece_bytes(piece));
    store_be32(to, piece);
    return (ssize_t)piece_bytes(piece);
}

static int put(void *opaque, const struct packet *packet, const uint8_t *data, size_t bytes, struct ferry_error *err)
{
    struct device *device = opaque;
    uint32_t piece = bytes >= 4 ? load_be32(data) : PIECES;

    if (piece >= PIECES || strcmp(packet->device, "gpu") != 0 || packet->instance != 7 || bytes != piece_bytes(piece) ||
        (bytes > 4 && data[bytes - 1] != (uint8_t)piece)) {
        atomic_fetch_add(&device->wrong, 1);
        return ferry_error_set(err, -EPROTO, "that is no piece of it");
    }
    if (piece == 50 && device->fails)
        return ferry_error_set(err, device->fails, "the device does not like it");
    atomic_fetch_add(&device->came[piece], 1);
    return 0;
}

struct both {
    struct device from, to;
    struct page_parts_source source;
    struct page_parts_sink sink;
    struct scene scene;
};

static void both_open(struct both *both, unsigned channels, bool with_wire)
{
    memset(both, 0, sizeof(*both));
    both->source = (struct page_parts_source){ take, &both->from };
    both->sink = (struct page_parts_sink){ put, &both->to };
    scene_make(&both->scene, channels, NULL, with_wire);
}

static void pieces_cross_beside_pages(void **state)
{
    static const unsigned counts[] = { 1, 2, CHANNELS };

    for (unsigned i = 0; i < 3; i++) {
        struct page_terms terms = usual_terms(&packet_v2);
        uint64_t bytes = 0, expected = 0;
        struct page_figures figures;
        static struct both both;

        both_open(&both, counts[i], false);
        terms.parts = &both.sink;
        scene_start(&both.scene, &terms);
        round_succeeds(&both.scene);
        assert_int_equal(atomic_load(&both.from.next), 0);
        learn_what_changed(&both.scene);
        page_senders_carry(both.scene.senders, &both.source);
        round_succeeds(&both.scene); /* they are all there behind its sync */
        for (unsigned piece = 0; piece < PIECES; piece++) {
            assert_int_equal(atomic_load(&both.to.came[piece]), 1);
            expected += PAGE_PART_HEAD_BYTES + piece_bytes(piece);
        }
        for (unsigned channel = 0; channel < counts[i]; channel++) {
            page_receivers_figures(both.scene.receivers, channel, &figures);
            bytes += figures.part_bytes;
        }
        assert_int_equal(bytes, expected);
        end_succeeds(&both.scene);
        assert_arrived(&both.scene);
        scene_clear(&both.scene);
    }
}

/* @spoil changes what is about to be used. */
static void fails_with(void (*spoil)(struct both *both, struct page_terms *terms), bool with_wire, const char *says)
{
    struct page_terms terms = usual_terms(&packet_v2);
    struct ferry_error err = { 0 }, here = { 0 };
    static struct both both;

    both_open(&both, 1, with_wire);
    terms.parts = &both.sink;
    spoil(&both, &terms);
    scene_start(&both.scene, &terms);
    page_senders_carry(both.scene.senders, &both.source);
    if (send_round(&both.scene, &here) < 0)
        page_senders_stop(both.scene.senders);
    (void)!page_receivers_sync(both.scene.receivers, &err);
    if (!strstr(err.text, says) && !strstr(here.text, says))
        fail_msg("'%s' and '%s' do not say '%s'", here.text, err.text, says);
    assert_int_equal(atomic_load(&both.to.wrong), 0);
    assert_int_equal(atomic_load(&both.to.came[60]), 0);
    scene_clear(&both.scene);
}

static void source_fails(struct both *both, struct page_terms *terms)
{
    both->from.fails = -EIO;
}

static void destination_fails(struct both *both, struct page_terms *terms)
{
    both->to.fails = -EINVAL;
}

static void nobody_takes_them(struct both *both, struct page_terms *terms)
{
    terms->parts = NULL;
}

/* In the first piece: memory's pages were sent before it, and have no sums here. */
static void a_bit_turns(struct both *both, struct page_terms *terms)
{
    uint64_t content = 0;

    for (unsigned block = 0; block < BLOCKS; block++)
        for (unsigned page = 0; page < PAGES; page++)
            content += page / 50 % 3 == 0 && page % 9 != 4;
    both->scene.wire.flip_at = (int64_t)(content * FERRY_PAGE_BYTES + FERRY_PART_MAX / 2);
}

static void too_long(struct both *both, struct page_terms *terms)
{
    struct ferry_error err = { 0 };
    struct packet packet = { .kind = PACKET_DEVICE, .device = "gpu" };
    static const uint32_t wrong[] = {
        0, 1, PAGE_PART_HEAD_BYTES, PAGE_PART_MAX_BYTES + 1, PACKET_DEVICE_MAX, UINT32_MAX
    };

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        packet.payload_bytes = wrong[i];
        assert_int_equal(page_part_check(&packet, &err), -EPROTO);
        assert_non_null(strstr(err.text, "a piece of state of"));
    }
    packet.payload_bytes = PAGE_PART_MAX_BYTES;
    assert_int_equal(page_part_check(&packet, &err), 0);
    both->from.fails = -EIO;
}

static void what_fails_is_said(void **state)
{
    fails_with(source_fails, false, "the device broke");
    fails_with(destination_fails, false, "the device does not like it");
    fails_with(nobody_takes_them, false, "which page channels do not carry here");
    fails_with(too_long, false, "the device broke");
    fails_with(a_bit_turns, true, "its state was damaged on its way");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_cross_beside_pages),
        cmocka_unit_test(what_fails_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
