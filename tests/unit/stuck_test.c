/* SPDX-License-Identifier: BSD-3-Clause */
/* stuck_test.c - a destination that waits for what never comes ends when it is told to, or by itself
 *
 *      main     hello  manifest  START { block list, mark }     and not a word more
 *      pages 0  hello                                           the SYNC that belongs to the mark never comes
 */
#include "dial.h"
#include "guest_manifest.h"
#include "guest_parts.h"
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

struct machine {
    struct ferry_guest *guest;
    void *memory;
};

static int never(void *opaque, struct ferry_error *err)
{
    return ferry_error_set(err, -EPERM, "nobody runs this guest");
}

static const struct ferry_guest_ops ops = { .stop = never, .start = never };

static void machine_open(struct machine *machine)
{
    struct ferry_block block = { .name = "ram", .length = BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE };

    block.host = machine->memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block.host != MAP_FAILED);
    machine->guest = ferry_guest_new("stuck", &ops, machine, NULL);
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
    machine_open(&scene->here);
    machine_open(&scene->there);
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
    };

    return cmocka_run_group_tests_name("stuck", tests, NULL, NULL);
}
