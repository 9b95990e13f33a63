/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_parts_test.c - pieces of devices' state: each is taken once, and given only to a device on its way */
#include "guest_parts.h"
#include "iterative.h"
#include "iterative_load.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PIECES  500
#define THREADS 4

/* A device: so many pieces of one byte. */
struct heap {
    atomic_uint next, put;
    int fails;
};

static int stop_or_start(void *opaque, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_guest_ops guest_ops = { .stop = stop_or_start, .start = stop_or_start };

static int save_body(void *opaque, struct ferry_writer *writer, struct ferry_error *err)
{
    ferry_put_chunk_end(writer);
    return 0;
}

static void save_pending(void *opaque, enum ferry_pending_how how, struct ferry_pending *pending)
{
}

static int save_iterate(void *opaque, struct ferry_writer *writer, uint64_t budget, struct ferry_error *err)
{
    return save_body(opaque, writer, err);
}

static ssize_t take_part(void *opaque, void *to, struct ferry_error *err)
{
    struct heap *device = opaque;

    if (device->fails)
        return ferry_error_set(err, device->fails, "it is broken");
    *(uint8_t *)to = 1;
    return atomic_fetch_add(&device->next, 1) < PIECES ? 1 : 0;
}

static int load_state(void *opaque, struct ferry_reader *reader, uint32_t version, struct ferry_error *err)
{
    return ferry_skip_chunks(reader);
}

static int load_part(void *opaque, const void *data, size_t bytes, struct ferry_error *err)
{
    struct heap *device = opaque;

    if (device->fails)
        return ferry_error_set(err, device->fails, "it does not like that");
    atomic_fetch_add(&device->put, (unsigned)bytes);
    return 0;
}

#define SAVE .setup = save_body, .pending = save_pending, .iterate = save_iterate, .complete_precopy = save_body

static const struct ferry_iterative_ops in_pieces = { .save = { SAVE, .take_part = take_part },
                                                      .load = { .state = load_state, .part = load_part } };
static const struct ferry_iterative_ops in_one = { .save = { SAVE }, .load = { .state = load_state } };

struct scene {
    struct ferry_guest *guest;
    struct heap device[3];
    struct ferry_channel *chan;
    struct ferry_writer *writer;
    struct iterative iterative;
};

static void scene_open(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    scene->guest = ferry_guest_new("pieces", &guest_ops, scene, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ferry_guest_add_iterative(scene->guest, i == 1 ? "one" : "many", FERRY_INSTANCE_NEXT, 1,
                                                   i == 1 ? &in_one : &in_pieces, &scene->device[i], NULL),
                         0);
    scene->chan = ferry_channel_buffer_writer(1 << 20, NULL);
    scene->writer = ferry_writer_new(scene->chan, NULL);
    assert_int_equal(iterative_begin(&scene->iterative, &scene->guest->iterative, scene->writer, NULL), 0);
    assert_int_equal(iterative_setup(&scene->iterative, 1, NULL), 0);
}

static void scene_close(struct scene *scene)
{
    iterative_end(&scene->iterative);
    ferry_writer_free(scene->writer);
    ferry_channel_unref(scene->chan);
    ferry_guest_free(scene->guest);
}

static void *take_all(void *opaque)
{
    const struct page_parts_source *parts = opaque;
    struct packet *packet = calloc(1, sizeof(*packet));
    uint8_t byte;
    ssize_t bytes;
    uintptr_t taken = 0;

    while ((bytes = parts->take(parts->opaque, packet, &byte, NULL)) > 0) {
        taken++;
        assert_string_equal(packet->device, "many");
    }
    assert_int_equal(bytes, 0);
    free(packet);
    return (void *)taken;
}

static void threads_take_each_piece_once(void **state)
{
    const struct page_parts_source *parts;
    pthread_t threads[THREADS];
    static struct scene scene;
    uintptr_t taken = 0;

    scene_open(&scene);
    parts = iterative_parts(&scene.iterative);
    assert_non_null(parts);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, (void *)(uintptr_t)parts), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *one;

        pthread_join(threads[i], &one);
        taken += (uintptr_t)one;
    }
    assert_int_equal(taken, 2 * PIECES);
    assert_int_equal(atomic_load(&scene.device[1].next), 0);
    scene_close(&scene);
}

static void a_device_that_breaks_is_named(void **state)
{
    struct ferry_error err = { 0 };
    const struct page_parts_source *parts;
    static struct packet packet;
    static struct scene scene;
    uint8_t byte;

    scene_open(&scene);
    scene.device[0].fails = -EIO;
    parts = iterative_parts(&scene.iterative);
    assert_int_equal(parts->take(parts->opaque, &packet, &byte, &err), -EIO);
    assert_string_equal(err.text, "device 'many' 0: it is broken");
    assert_int_equal(err.code, FERRY_E_DEVICE_NOT_SAVED);
    scene_close(&scene);
}

/* Reads as many sections as are put, and tells what becomes of a piece then. */
struct arrival {
    struct section_table sections;
    struct iterative_loader loader;
    struct ferry_channel *back;
    struct ferry_reader *reader;
};

static void arrival_open(struct arrival *arrival, struct scene *scene)
{
    const void *data;
    size_t bytes;

    assert_int_equal(iterative_complete(&scene->iterative, NULL), 0);
    assert_int_equal(ferry_writer_flush(scene->writer, NULL), 0);
    data = ferry_channel_buffer_data(scene->chan, &bytes);
    arrival->back = ferry_channel_buffer_reader(data, bytes, NULL);
    arrival->reader = ferry_reader_new(arrival->back, NULL);
    section_table_init(&arrival->sections, arrival->reader);
    assert_int_equal(iterative_load_begin(&arrival->loader, scene->guest, &arrival->sections, NULL), 0);
}

static void read_sections(struct arrival *arrival, unsigned count)
{
    struct section_item item;

    while (count-- > 0) {
        assert_int_equal(section_get_item(arrival->reader, &item), 0);
        if (item.type == SECTION_START)
            assert_int_equal(iterative_load_start(&arrival->loader, &item), 0);
        else
            assert_int_equal(section_table_next(&arrival->sections, &item), 0);
    }
}

static void expect(struct arrival *arrival, const char *name, unsigned instance, const char *says)
{
    static struct packet packet;
    struct ferry_error err = { 0 };
    int ret;

    strcpy(packet.device, name);
    packet.instance = instance;
    ret = iterative_load_part(&arrival->loader, &packet, (const uint8_t *)"x", 1, &err);
    if ((ret == 0) != (says[0] == '\0') || !strstr(err.text, says))
        fail_msg("%s %u: %d, '%s', not '%s'", name, instance, ret, err.text, says);
}

static void a_piece_is_for_a_device_on_its_way(void **state)
{
    static struct scene scene;
    struct arrival arrival;

    scene_open(&scene);
    arrival_open(&arrival, &scene);
    expect(&arrival, "many", 0, "device 'many' 0: a piece of its state, which is not on its way");
    read_sections(&arrival, 3); /* STARTs */
    expect(&arrival, "many", 0, "");
    expect(&arrival, "many", 1, "");
    expect(&arrival, "many", 2, "not known here");
    expect(&arrival, "unicorn", 0, "not known here");
    expect(&arrival, "one", 0, "which it takes in one alone");
    read_sections(&arrival, 1); /* END of the first */
    expect(&arrival, "many", 0, "which is not on its way");
    expect(&arrival, "many", 1, "");
    scene.device[2].fails = -EINVAL;
    expect(&arrival, "many", 1, "device 'many' 1: it does not like that");
    assert_int_equal(atomic_load(&scene.device[0].put), 1);
    assert_int_equal(atomic_load(&scene.device[2].put), 2);
    iterative_load_end(&arrival.loader);
    expect(&arrival, "many", 1, "not known here"); /* a channel's thread may be late */
    section_table_clear(&arrival.sections);
    ferry_reader_free(arrival.reader);
    ferry_channel_unref(arrival.back);
    scene_close(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_take_each_piece_once),
        cmocka_unit_test(a_device_that_breaks_is_named),
        cmocka_unit_test(a_piece_is_for_a_device_on_its_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
