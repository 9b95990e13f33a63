/* SPDX-License-Identifier: BSD-3-Clause */
/* page_channels_fixture.c - a guest that writes, channels, and both of their ends */
#include "page_channels_fixture.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define HOT_PAGES 600 /* the guest writes these, at the front and at the end of each block */

/* ---- a guest ---------------------------------------------------------------------------------------------------- */

static void memory_make(struct memory *memory, unsigned flags)
{
    ram_map_init(&memory->map);
    for (unsigned i = 0; i < BLOCKS; i++) {
        const char name[] = { (char)('a' + i), '\0' };
        struct ferry_block info = {
            .name = name,
            .length = PAGES * FERRY_PAGE_BYTES,
            .page_size = FERRY_PAGE_BYTES,
            .flags = FERRY_BLOCK_PRIVATE | flags,
        };

        info.host = mmap(NULL, info.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(info.host, MAP_FAILED);
        (void)madvise(info.host, info.length, MADV_NOHUGEPAGE);
        memory->at[i] = info.host;
        assert_int_equal(ram_map_add(&memory->map, &info, NULL), 0);
    }
}

static void memory_clear(struct memory *memory)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        munmap(memory->at[i], PAGES * FERRY_PAGE_BYTES);
    ram_map_clear(&memory->map);
}

/* A third is written, a ninth of that with zeros; half of what is written compresses well. */
static void memory_fill(struct memory *memory)
{
    uint64_t x = 88172645463325252u;

    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned page = 0; page < PAGES; page++) {
            uint64_t *words = (uint64_t *)(memory->at[i] + page * FERRY_PAGE_BYTES);

            if (page / 50 % 3 != 0)
                continue;
            for (unsigned w = 0; w < FERRY_PAGE_BYTES / 8; w++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                words[w] = page % 9 == 4 ? 0 : page % 2 ? x : page + w / 16;
            }
        }
    }
}

/* Written while senders read it: that is what guests do, and not for the sanitizer to judge. */
__attribute__((no_sanitize("thread"))) void guest_write(struct guest *guest, unsigned block, unsigned page,
                                                        uint64_t value)
{
    volatile uint64_t *words = (volatile uint64_t *)(guest->memory->at[block] + page * FERRY_PAGE_BYTES);

    for (unsigned w = value % 7; w < FERRY_PAGE_BYTES / 8; w += 64)
        words[w] = value % 11 ? value : 0;
    atomic_fetch_or(&guest->dirty[block][page / 64], UINT64_C(1) << (page % 64));
}

void *guest_main(void *opaque)
{
    struct guest *guest = opaque;

    for (uint64_t value = 1; !atomic_load(&guest->stop); value++) {
        unsigned page = (unsigned)(value * 7919 % HOT_PAGES);

        guest_write(guest, value % BLOCKS, value % 3 ? page : PAGES - 1 - page, value);
        if (value % 100 == 0)
            sched_yield();
    }
    return NULL;
}

static int guest_start(void *opaque, const struct ferry_block *block, struct ferry_error *err)
{
    return 0;
}

static int guest_sync(void *opaque, const struct ferry_block *block, uint64_t *bitmap, struct ferry_error *err)
{
    struct guest *guest = opaque;

    for (unsigned i = 0; i < PAGES / 64 + 1; i++)
        bitmap[i] |= atomic_exchange(&guest->dirty[block->name[0] - 'a'][i], 0);
    return 0;
}

static void guest_end(void *opaque, const struct ferry_block *block)
{
}

static const struct ferry_tracker_ops guest_tracker = {
    .name = "guest",
    .start = guest_start,
    .sync = guest_sync,
    .stop = guest_end,
};

/* ---- a wire that can be damaged --------------------------------------------------------------------------------- */

static void *wire_main(void *opaque)
{
    struct wire *wire = opaque;
    static _Thread_local uint8_t buf[65536];
    int64_t at = 0;

    for (;;) {
        struct iovec iov = { buf, sizeof(buf) };
        ssize_t got = ferry_channel_readv(wire->in, &iov, 1, NULL);

        if (got > 0 && wire->cut_at >= 0 && at + got > wire->cut_at)
            break;
        if (got <= 0)
            break;
        if (wire->flip_at >= at && wire->flip_at < at + got)
            buf[wire->flip_at - at] ^= 1;
        at += got;
        iov.iov_len = (size_t)got;
        if (ferry_channel_writev_all(wire->out, &iov, 1, NULL) < 0)
            break;
    }
    ferry_channel_unref(wire->in);
    ferry_channel_unref(wire->out);
    return NULL;
}

/* ---- both sides ------------------------------------------------------------------------------------------------- */

static void note_failure(void *opaque)
{
    struct scene *scene = opaque;

    atomic_fetch_add(&scene->failures, 1);
}

struct page_terms usual_terms(const struct packet_format *format)
{
    return (struct page_terms){ .format = format, .batch_pages = format->batch_pages, .codec = CODEC_NONE };
}

static void connect_pair(struct ferry_listener *listener, struct ferry_channel **out, struct ferry_channel **in)
{
    if (!listener) {
        struct ferry_channel *pair[2];

        assert_int_equal(ferry_channel_pair(pair, NULL), 0);
        *out = pair[0];
        *in = pair[1];
        return;
    }
    *out = ferry_channel_connect(ferry_listener_address(listener), 5000, NULL);
    *in = ferry_listener_accept(listener, 5000, NULL);
    assert_non_null(*out);
    assert_non_null(*in);
}

static void scene_connect(struct scene *scene, const char *uri, bool with_wire)
{
    struct ferry_listener *listener = uri ? ferry_listener_open(uri, NULL) : NULL;

    for (unsigned i = 0; i < scene->count; i++)
        connect_pair(listener, &scene->out[i], &scene->in[i]);
    if (with_wire) {
        scene->wire.in = scene->in[scene->count - 1];
        connect_pair(listener, &scene->wire.out, &scene->in[scene->count - 1]);
    }
    ferry_listener_free(listener);
}

void scene_start(struct scene *scene, const struct page_terms *terms)
{
    const struct page_receivers_events events = { note_failure, scene };
    struct page_terms theirs = *terms;
    struct ferry_error err = { 0 };

    theirs.sums = false; /* a destination learns it from the packets */
    if (scene->wire.in) {
        scene->wire.started = true;
        assert_int_equal(pthread_create(&scene->wire.thread, NULL, wire_main, &scene->wire), 0);
    }
    scene->senders = page_senders_new(&scene->walk, scene->out, scene->count, terms, &err);
    assert_string_equal(ferry_error_text(&err), "no error");
    scene->receivers =
        page_receivers_new(&scene->to.map, scene->placer, scene->in, scene->count, &theirs, &events, &err);
    assert_string_equal(ferry_error_text(&err), "no error");
}

void scene_make(struct scene *scene, unsigned channels, const char *uri, bool with_wire)
{
    struct tracker tracker = { &guest_tracker, &scene->guest };

    memset(scene, 0, sizeof(*scene));
    memory_make(&scene->from, 0);
    memory_make(&scene->to, FERRY_BLOCK_FRESH);
    memory_fill(&scene->from);
    scene->guest.memory = &scene->from;
    scene->trackers = tracker_set_new(&scene->from.map, &tracker, 1, NULL);
    assert_non_null(scene->trackers);
    assert_int_equal(walk_init(&scene->walk, &scene->from.map, NULL), 0);
    assert_int_equal(walk_look_untouched(&scene->walk, NULL), 0);
    scene->placer = placer_direct_new(&scene->to.map, false, NULL);
    assert_non_null(scene->placer);
    scene->count = channels;
    scene->wire.flip_at = scene->wire.cut_at = -1;
    scene_connect(scene, uri, with_wire);
}

void scene_clear(struct scene *scene)
{
    page_senders_free(scene->senders);
    page_receivers_free(scene->receivers);
    for (unsigned i = 0; i < scene->count; i++) {
        ferry_channel_unref(scene->out[i]);
        ferry_channel_unref(scene->in[i]);
    }
    if (scene->wire.started)
        pthread_join(scene->wire.thread, NULL);
    placer_free(scene->placer);
    walk_clear(&scene->walk);
    tracker_set_free(scene->trackers);
    memory_clear(&scene->from);
    memory_clear(&scene->to);
}

int send_round(struct scene *scene, struct ferry_error *err)
{
    int ret;

    page_senders_begin(scene->senders, ++scene->round);
    while ((ret = page_senders_wait(scene->senders, 50 * NS_PER_MS, err)) == -ETIMEDOUT)
        ;
    return ret < 0 ? ret : page_senders_sync(scene->senders, err);
}

void round_succeeds(struct scene *scene)
{
    struct ferry_error err = { 0 };

    assert_int_equal(send_round(scene, &err), 0);
    assert_int_equal(page_receivers_sync(scene->receivers, &err), 0);
}

void learn_what_changed(struct scene *scene)
{
    uint64_t changed;

    assert_int_equal(walk_sync(&scene->walk, scene->trackers, &changed, NULL), 0);
}

void assert_arrived(struct scene *scene)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        assert_memory_equal(scene->from.at[i], scene->to.at[i], PAGES * FERRY_PAGE_BYTES);
}

void end_succeeds(struct scene *scene)
{
    struct ferry_error err = { 0 };

    assert_int_equal(page_senders_finish(scene->senders, &err), 0);
    assert_int_equal(page_receivers_finish(scene->receivers, &err), 0);
    assert_int_equal(page_receivers_status(scene->receivers, &err), 0);
    assert_int_equal(atomic_load(&scene->failures), 0);
}
