/* SPDX-License-Identifier: BSD-3-Clause */
/* stuck_test.c - a destination that waits for what never comes ends when it is told to, or by itself; one that is busy,
 * or waits for what does come, is not taken for stuck
 *
 *      main     hello  manifest  START { block list, mark }     and not a word more
 *      pages 0  hello                                           the SYNC that belongs to the mark never comes
 */
#include "dial.h"
#include "guest_manifest.h"
#include "guest_parts.h"
#include "packet.h"
#include "ram_section.h"
#include "section.h"

#include <ferry/codes.h>
#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES   ((size_t)16 * FERRY_PAGE_BYTES)
#define HUNG_MS 60000
#define LOST_MS 2000

struct machine {
    struct ferry_guest *guest;
    void *memory;
    uint32_t state; /* of a device that takes its time */
};

static int never(void *opaque, struct ferry_error *err)
{
    return ferry_error_set(err, -EPERM, "nobody runs this guest");
}

static const struct ferry_guest_ops ops = { .stop = never, .start = never };

static int done(void *opaque, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_guest_ops willing_ops = { .stop = done, .start = done };

static int take_time(void *opaque, int version, struct ferry_error *err)
{
    usleep(2 * LOST_MS * 1000);
    return 0;
}

static const struct ferry_field fields[] = { FERRY_U32(state, struct machine), FERRY_END };
static const struct ferry_state_desc slow = {
    .name = "slow",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct machine),
    .fields = fields,
    .hooks = { .post_load = take_time },
};

static void machine_open(struct machine *machine, const struct ferry_guest_ops *how)
{
    struct ferry_block block = { .name = "ram", .length = BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE };

    block.host = machine->memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    machine->guest = ferry_guest_new("stuck", how, machine, NULL);
    assert_non_null(machine->guest);
    assert_int_equal(ferry_guest_add_block(machine->guest, &block, NULL), 0);
}

static void machine_close(struct machine *machine)
{
    ferry_guest_free(machine->guest);
    munmap(machine->memory, BYTES);
}

/* A destination, and a source that is played. */
struct scene {
    struct machine here, there;
    struct ferry_options *options;
    struct ferry_session *destination;
    struct watchdog *dog;
    struct ferry_channel *main, *pages;
    char path[64], uri[80];
};

static void set(struct scene *scene, const char *name, const char *value)
{
    assert_int_equal(ferry_options_set(scene->options, name, value, NULL), 0);
}

static void open_scene(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    machine_open(&scene->here, &ops);
    machine_open(&scene->there, &ops);
    scene->options = ferry_options_new();
    assert_non_null(scene->options);
    snprintf(scene->path, sizeof(scene->path), "/tmp/ferry-stuck-%d", getpid());
    snprintf(scene->uri, sizeof(scene->uri), "unix:%s", scene->path);
}

static void begin(struct scene *scene)
{
    struct ferry_listener *listener;
    struct ferry_error err = { 0 };

    unlink(scene->path);
    listener = ferry_listener_open(scene->uri, &err);
    assert_non_null(listener);
    scene->destination =
        ferry_destination_listen(scene->there.guest, listener, FERRY_NO_DEADLINE, scene->options, &err);
    assert_non_null(scene->destination);
}

static void close_scene(struct scene *scene)
{
    ferry_session_free(scene->destination);
    ferry_channel_unref(scene->main);
    ferry_channel_unref(scene->pages);
    watchdog_free(scene->dog);
    ferry_options_free(scene->options);
    machine_close(&scene->here);
    machine_close(&scene->there);
    unlink(scene->path);
}

static struct ferry_channel *greet(struct scene *scene, const struct hello *hello)
{
    struct ferry_channel *chan = ferry_channel_connect(scene->uri, 5000, NULL);
    struct ferry_error err = { 0 };
    struct hello_answer answer;

    assert_non_null(chan);
    if (dial_greet(chan, hello, scene->dog, HUNG_MS * INT64_C(1000000), &answer, &err) < 0)
        fail_msg("%s", err.text);
    return chan;
}

/* Up to the mark behind which nothing comes. */
static void play_source(struct scene *scene)
{
    struct hello hello, second;
    struct ferry_writer *writer;
    uint8_t *offer;
    size_t bytes;

    scene->dog = watchdog_new(NULL);
    assert_non_null(scene->dog);
    assert_int_equal(dial_introduce(scene->options, 2, &hello, NULL), 0);
    scene->main = greet(scene, &hello);
    assert_int_equal(dial_another(&hello, HELLO_PAGES, 0, &second, NULL), 0);
    scene->pages = greet(scene, &second);
    writer = ferry_writer_new(scene->main, NULL);
    assert_non_null(writer);
    section_put_header(writer);
    section_put_configuration(writer, "stuck");
    offer = guest_manifest_offer(scene->here.guest, &bytes, NULL);
    assert_non_null(offer);
    section_put_ferry(writer, FERRY_ITEM_MANIFEST, offer, (uint32_t)bytes);
    section_put_first(writer, SECTION_START, 0, RAM_SECTION_NAME, 0, RAM_SECTION_VERSION);
    ram_put_blocks(writer, &scene->here.guest->ram);
    ram_put_mark(writer);
    assert_int_equal(ferry_writer_flush(writer, NULL), 0);
    ferry_writer_free(writer);
    free(offer);
}

static void await_active(struct scene *scene)
{
    struct ferry_stats stats;

    do {
        assert_int_equal(ferry_session_wait(scene->destination, 1, NULL), -ETIMEDOUT);
        ferry_session_stats(scene->destination, &stats);
    } while (stats.phase != FERRY_PHASE_ACTIVE);
    usleep(100000); /* for it to come to the mark; where it has not, this shows less, and is true all the same */
}

static void a_silent_source_is_lost_at_a_mark_too(void **state)
{
    struct ferry_error err = { 0 };
    struct scene scene;

    open_scene(&scene);
    set(&scene, "suspect-after", "200ms");
    set(&scene, "lost-after", "1s");
    begin(&scene);
    play_source(&scene);
    assert_int_equal(ferry_session_wait(scene.destination, HUNG_MS, &err), -ETIMEDOUT);
    if (err.code != FERRY_E_PEER_SILENT)
        fail_msg("%s", err.text);
    close_scene(&scene);
}

static void a_cancel_at_a_mark(void **state)
{
    struct scene scene;

    open_scene(&scene);
    begin(&scene);
    play_source(&scene);
    await_active(&scene);
    ferry_session_cancel(scene.destination);
    assert_int_equal(ferry_session_wait(scene.destination, HUNG_MS, NULL), -ECANCELED);
    close_scene(&scene);
}

/* Packets that say that a page is zero, one now and then. */
static void trickle(struct scene *scene, unsigned count)
{
    struct ram_map *map = &scene->here.guest->ram;
    uint8_t header[PACKET_HEAD_MAX + PACKET_REST_MAX];
    struct packet packet;

    for (unsigned i = 0; i < count; i++) {
        struct iovec iov = { .iov_base = header };

        packet_from_zeros(&packet, map->blocks[0], i % map->blocks[0]->pages, 1);
        packet.sequence = i;
        iov.iov_len = packet_v2.encode(&packet, header);
        assert_int_equal(ferry_channel_writev_all(scene->pages, &iov, 1, NULL), 0);
        usleep(LOST_MS * 100);
    }
}

static void pages_that_come_slowly_are_no_silence(void **state)
{
    struct scene scene;

    open_scene(&scene);
    set(&scene, "suspect-after", "200ms");
    set(&scene, "lost-after", "2s");
    begin(&scene);
    play_source(&scene);
    trickle(&scene, 20);
    assert_int_equal(ferry_session_wait(scene.destination, 0, NULL), -ETIMEDOUT);
    close_scene(&scene);
}

static void a_destination_that_is_busy_hears_nobody(void **state)
{
    struct ferry_session *source, *destination;
    struct ferry_channel *pair[2];
    struct machine here, there;
    struct ferry_options *options = ferry_options_new();
    struct ferry_error err = { 0 };

    assert_int_equal(ferry_options_set(options, "suspect-after", "200ms", NULL), 0);
    assert_int_equal(ferry_options_set(options, "lost-after", "2s", NULL), 0);
    machine_open(&here, &willing_ops);
    machine_open(&there, &willing_ops);
    assert_int_equal(ferry_guest_add_device(here.guest, &slow, &here, NULL, 0, NULL), 0);
    assert_int_equal(ferry_guest_add_device(there.guest, &slow, &there, NULL, 0, NULL), 0);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    destination = ferry_destination_start(there.guest, pair[1], options, NULL);
    source = ferry_source_start(here.guest, pair[0], options, NULL);
    assert_true(source && destination);
    if (ferry_session_wait(source, HUNG_MS, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(ferry_session_wait(destination, HUNG_MS, NULL), 0);
    ferry_session_free(source);
    ferry_session_free(destination);
    ferry_options_free(options);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    machine_close(&here);
    machine_close(&there);
}

static void a_cancel_while_nobody_comes(void **state)
{
    static const char *const preempts[] = { "off", "on", "early" };

    for (size_t i = 0; i < sizeof(preempts) / sizeof(preempts[0]); i++) {
        struct scene scene;

        open_scene(&scene);
        set(&scene, "postcopy-preempt", preempts[i]);
        begin(&scene);
        usleep(i * 20000); /* at once, and when it surely waits */
        ferry_session_cancel(scene.destination);
        assert_int_equal(ferry_session_wait(scene.destination, HUNG_MS, NULL), -ECANCELED);
        close_scene(&scene);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_source_is_lost_at_a_mark_too),
        cmocka_unit_test(a_cancel_at_a_mark),
        cmocka_unit_test(a_cancel_while_nobody_comes),
        cmocka_unit_test(pages_that_come_slowly_are_no_silence),
        cmocka_unit_test(a_destination_that_is_busy_hears_nobody),
    };

    return cmocka_run_group_tests_name("stuck", tests, NULL, NULL);
}
