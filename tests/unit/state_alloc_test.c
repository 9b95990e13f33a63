/* SPDX-License-Identifier: BSD-3-Clause */
/* state_alloc_test.c - each allocation of a save and of a load may fail: an error, no leak, the device as it was
 *
 * What is handed out is counted, so that a leak fails the test in every build.
 */
#include "device.h"
#include "failmalloc.h"
#include "manifest.h"
#include "state_fixture.h"

#include <ferry/channel.h>
#include <ferry/stream.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Returns 0 when no allocation was left to fail. */
typedef int attempt(void *opaque, struct ferry_error *err);

static void assert_survives_each_failure(attempt *run, void *opaque, unsigned at_least)
{
    unsigned failures = 0;

    for (long n = 0;; n++) {
        struct ferry_error err = { 0 };
        long before = failmalloc_alive();
        bool failed;
        int rc;

        failmalloc_arm(n);
        rc = run(opaque, &err);
        failed = failmalloc_disarm();
        if (!failed) {
            assert_int_equal(rc, 0);
            break;
        }
        failures++;
        assert_true(rc < 0);
        assert_true(err.errnum < 0 && err.text[0]);
        assert_int_equal(failmalloc_alive(), before);
    }
    assert_true(failures >= at_least);
}

static int save_once(void *opaque, struct ferry_error *err)
{
    struct fixture_bytes bytes;

    return fixture_save(&zoo_desc, opaque, NULL, NULL, &bytes, err);
}

static int save_described(void *opaque, struct ferry_error *err)
{
    struct fixture_bytes bytes;
    json_t *vmdesc = json_object();
    int rc = vmdesc ? fixture_save(&zoo_desc, opaque, NULL, vmdesc, &bytes, err) : ferry_error_set(err, -12, "json");

    json_decref(vmdesc);
    return rc;
}

static void a_save_survives(void **state)
{
    struct zoo *zoo = zoo_new(3);
    uint64_t before = zoo_fingerprint(zoo);

    assert_survives_each_failure(save_once, zoo, 3);
    assert_survives_each_failure(save_described, zoo, 100);
    assert_true(zoo_fingerprint(zoo) == before);
    zoo_free(zoo);
}

struct load {
    struct fixture_bytes bytes;
    struct zoo *zoo;
    uint64_t before;
};

static int load_once(void *opaque, struct ferry_error *err)
{
    struct load *load = opaque;
    int rc = fixture_load(&zoo_desc, load->zoo, 3, load->bytes.data, load->bytes.count, err);

    if (rc < 0)
        assert_true(zoo_fingerprint(load->zoo) == load->before);
    return rc;
}

static void a_load_survives(void **state)
{
    struct zoo *from = zoo_new(3);
    struct load load = { .zoo = zoo_new(2) };

    load.before = zoo_fingerprint(load.zoo);
    assert_int_equal(fixture_save(&zoo_desc, from, NULL, NULL, &load.bytes, NULL), 0);
    assert_survives_each_failure(load_once, &load, 20);
    assert_int_equal(load.zoo->loads, 1);
    zoo_free(from);
    zoo_free(load.zoo);
}

static int tree_once(void *opaque, struct ferry_error *err)
{
    struct load *load = opaque;
    json_t *tree = state_to_tree(&zoo_desc, load->zoo, NULL, err);
    struct state_staged *staged = tree ? state_from_tree(&zoo_desc, load->zoo, 3, tree, err) : NULL;
    uint8_t digest[16];
    int rc = staged ? state_digest(&zoo_desc, load->zoo, NULL, digest, err) : err->errnum;

    if (rc == 0 && state_size(&zoo_desc, load->zoo, NULL, err) < 0)
        rc = err->errnum;
    assert_true(zoo_fingerprint(load->zoo) == load->before);
    state_staged_free(staged);
    json_decref(tree);
    return rc;
}

static void trees_and_digests_survive(void **state)
{
    struct load load = { .zoo = zoo_new(3) };

    load.before = zoo_fingerprint(load.zoo);
    assert_survives_each_failure(tree_once, &load, 100);
    zoo_free(load.zoo);
}

static int list_once(void *opaque, struct ferry_error *err)
{
    struct device_list *list = device_list_new();
    struct device *device;
    int rc = -12;

    if (!list)
        return ferry_error_set(err, rc, "out of memory");
    device = device_add(list, &zoo_desc, opaque, NULL, FERRY_INSTANCE_NEXT, DEVICE_NO_ALIAS, err);
    if (device)
        rc = 0;
    device_list_free(list);
    return rc;
}

static void a_device_list_survives(void **state)
{
    struct zoo *zoo = zoo_new(1);

    assert_survives_each_failure(list_once, zoo, 2);
    zoo_free(zoo);
}

static int no_change(struct ferry_values *values, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_field note_fields[] = { FERRY_U16(number, struct zoo_note), FERRY_END };
#define NOTE(v)                                                                                        \
    {                                                                                                  \
        .name = "note", .version_id = (v), .minimum_version_id = (v), .size = sizeof(struct zoo_note), \
        .fields = note_fields                                                                          \
    }
static const struct ferry_state_desc note_v1 = NOTE(1), note_v2 = NOTE(2);
static const struct ferry_converter note_converter = { &note_v1, no_change, no_change };

/* Out as version 1, and in again. */
static int convert_once(void *opaque, struct ferry_error *err)
{
    struct convert_list list = { 0 };
    struct ferry_channel *out = ferry_channel_buffer_writer(100, err), *in = NULL;
    struct ferry_writer *writer = out ? ferry_writer_new(out, err) : NULL;
    struct ferry_reader *reader = NULL;
    struct state_staged *staged = NULL;
    const void *data;
    size_t bytes;
    int rc = writer ? convert_list_add(&list, &note_converter, err) : err->errnum;

    if (rc == 0)
        rc = convert_save(writer, &note_converter, &note_v2, opaque, NULL, err);
    if (rc == 0)
        rc = ferry_writer_flush(writer, err);
    if (rc == 0) {
        data = ferry_channel_buffer_data(out, &bytes);
        in = ferry_channel_buffer_reader(data, bytes, err);
        reader = in ? ferry_reader_new(in, err) : NULL;
        staged = reader ? convert_parse(&note_converter, &note_v2, opaque, 1, reader, err) : NULL;
        rc = staged ? 0 : err->errnum;
    }
    state_staged_free(staged);
    ferry_reader_free(reader);
    ferry_writer_free(writer);
    ferry_channel_unref(in);
    ferry_channel_unref(out);
    convert_list_clear(&list);
    return rc;
}

static void a_conversion_survives(void **state)
{
    struct zoo_note note = { .number = 7 };

    assert_survives_each_failure(convert_once, &note, 30);
}

static int compare_manifests(const struct manifest_of *of, struct ferry_error *err)
{
    struct manifest *here = manifest_build(of, err), *there = NULL;
    struct reasons reasons = { 0 };
    struct manifest_choices choices = { 0 };
    size_t bytes;
    uint8_t *data = here ? manifest_encode(here, &bytes, err) : NULL;
    int rc = err->errnum;

    if (data)
        there = manifest_decode(data, bytes, err);
    if (there)
        rc = manifest_compare(here, there, false, &reasons, NULL, &choices, err);
    else
        rc = err->errnum;
    if (rc == 0 && reasons.count)
        rc = reasons_error(&reasons, err);
    free(data);
    manifest_free(here);
    manifest_free(there);
    reasons_clear(&reasons);
    manifest_choices_clear(&choices);
    return rc;
}

static int manifest_once(void *opaque, struct ferry_error *err)
{
    static const struct ferry_setting settings[] = { { "queues", "4" }, { NULL, NULL } };
    static const struct ferry_model model = { "urn:zoo", settings };
    struct ram_map ram = { 0 };
    struct device_list *list = device_list_new();
    struct manifest_of of = { MANIFEST_SOURCE, "pc", &ram, list, NULL };
    struct device *device;
    int rc = -12;

    if (!list)
        return ferry_error_set(err, rc, "out of memory");
    device = device_add(list, &zoo_desc, opaque, NULL, 0, DEVICE_NO_ALIAS, err);
    rc = device ? device_set_model(device, &model, err) : err->errnum;
    if (rc == 0)
        rc = compare_manifests(&of, err);
    device_list_free(list);
    return rc;
}

static void a_manifest_survives(void **state)
{
    struct zoo *zoo = zoo_new(1);

    assert_survives_each_failure(manifest_once, zoo, 10);
    zoo_free(zoo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_save_survives),           cmocka_unit_test(a_load_survives),
        cmocka_unit_test(trees_and_digests_survive), cmocka_unit_test(a_device_list_survives),
        cmocka_unit_test(a_conversion_survives),     cmocka_unit_test(a_manifest_survives),
    };

    json_set_alloc_funcs(malloc, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
