/* SPDX-License-Identifier: BSD-3-Clause */
/* device_test.c - devices are found by name and instance, saved in order, loaded whole; legacy ones by their functions
 */
#include "device.h"
#include "json.h"
#include "state_fixture.h"

#include <errno.h>
#include <ferry/channel.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct pic {
    uint8_t irr;
    bool wanted;
};

static bool pic_needed(void *opaque)
{
    return ((struct pic *)opaque)->wanted;
}

static const struct ferry_field pic_fields[] = {
    FERRY_U8(irr, struct pic),
    FERRY_END,
};
static const struct ferry_state_desc pic_desc = {
    .name = "i8259",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct pic),
    .fields = pic_fields,
    .hooks = { .needed = pic_needed },
};
static const struct ferry_state_desc bus_desc = { .name = "PCIBUS",
                                                  .version_id = 1,
                                                  .minimum_version_id = 1,
                                                  .size = sizeof(struct pic),
                                                  .fields = pic_fields,
                                                  .priority = 2 };
static const struct ferry_state_desc stuck_desc = {
    .name = "stuck", .size = sizeof(struct pic), .fields = pic_fields, .unmigratable = "it is on fire"
};

static void legacy_save(struct ferry_writer *writer, void *opaque)
{
    ferry_put_be32(writer, *(uint32_t *)opaque);
}

static int legacy_load(struct ferry_reader *reader, void *opaque, int version, struct ferry_error *err)
{
    return ferry_get_be32(reader, opaque);
}

static const struct ferry_legacy_ops legacy_ops = {
    .version_id = 2, .minimum_version_id = 1, .save = legacy_save, .load = legacy_load
};

static void order_is_priority_then_registration(void **state)
{
    struct device_list *list = device_list_new();
    struct pic pic = { 0 };
    uint32_t old = 0;
    struct device *device;

    assert_non_null(device_add(list, &pic_desc, &pic, NULL, FERRY_INSTANCE_NEXT, DEVICE_NO_ALIAS, NULL));
    assert_non_null(device_add_legacy(list, "slirp", FERRY_INSTANCE_NEXT, &legacy_ops, &old, NULL));
    assert_non_null(device_add(list, &bus_desc, &pic, NULL, 0, DEVICE_NO_ALIAS, NULL));
    assert_non_null(device_add(list, &pic_desc, &pic, NULL, FERRY_INSTANCE_NEXT, DEVICE_NO_ALIAS, NULL));
    device = device_first(list);
    assert_string_equal(device->idstr, "PCIBUS");
    assert_int_equal(device->number, 2);
    device = device_next(device);
    assert_string_equal(device->idstr, "i8259");
    assert_int_equal(device->instance_id, 0);
    device = device_next(device);
    assert_string_equal(device->idstr, "slirp");
    device = device_next(device);
    assert_string_equal(device->idstr, "i8259");
    assert_int_equal(device->instance_id, 1);
    assert_null(device_next(device));
    device_list_free(list);
}

static void devices_are_found_by_name_and_instance(void **state)
{
    struct device_list *list = device_list_new();
    struct pic pic = { 0 };
    struct device *first, *path;
    struct ferry_error err;
    char name[300];

    first = device_add(list, &pic_desc, &pic, NULL, 5, 1, NULL);
    path = device_add(list, &pic_desc, &pic, "0000:00:01.0/i8259", 0, DEVICE_NO_ALIAS, NULL);
    assert_ptr_equal(device_find(list, "i8259", 5), first);
    assert_ptr_equal(device_find(list, "i8259", 1), first);
    assert_null(device_find(list, "i8259", 0));
    assert_null(device_find(list, "i825", 5));
    assert_ptr_equal(device_find(list, "0000:00:01.0/i8259", 0), path);
    assert_null(device_add(list, &pic_desc, &pic, NULL, 5, DEVICE_NO_ALIAS, &err));
    assert_int_equal(err.errnum, -EEXIST);
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    assert_null(device_add(list, &pic_desc, &pic, name, 0, DEVICE_NO_ALIAS, &err));
    name[255] = '\0';
    assert_non_null(device_add(list, &pic_desc, &pic, name, 0, DEVICE_NO_ALIAS, &err));
    assert_null(device_add(list, &pic_desc, &pic, "", 0, DEVICE_NO_ALIAS, &err));
    device_list_free(list);
    device_list_free(NULL);
}

static void needed_and_unmigratable(void **state)
{
    struct device_list *list = device_list_new();
    struct pic pic = { 0 };
    struct device *device = device_add(list, &pic_desc, &pic, NULL, 0, DEVICE_NO_ALIAS, NULL);
    struct ferry_error err;

    assert_false(device_needed(device));
    pic.wanted = true;
    assert_true(device_needed(device));
    assert_int_equal(device_list_migratable(list, &err), 0);
    assert_non_null(device_add(list, &stuck_desc, &pic, NULL, 0, DEVICE_NO_ALIAS, NULL));
    assert_int_equal(device_list_migratable(list, &err), -ENOTSUP);
    assert_string_equal(err.text, "device 'stuck' 0 cannot be migrated: it is on fire");
    device_list_free(list);
}

static void a_description_that_cannot_work_is_refused(void **state)
{
    static const struct ferry_state_desc lost = { .name = "other/sub", .fields = pic_fields };
    static const struct ferry_state_desc *const subsections[] = { &lost, NULL };
    const struct ferry_state_desc bad[] = {
        { .name = "x", .size = 2 },
        { .name = "x", .fields = pic_fields },
        { .name = "", .size = 2, .fields = pic_fields },
        { .name = "x", .size = 2, .fields = pic_fields, .version_id = 1, .minimum_version_id = 2 },
        { .name = "x", .size = 2, .fields = pic_fields, .subsections = subsections },
    };
    struct device_list *list = device_list_new();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(device_add(list, &bad[i], NULL, "name", 0, DEVICE_NO_ALIAS, NULL));
    assert_null(device_first(list));
    device_list_free(list);
}

struct wire {
    struct ferry_channel *out, *in;
    struct ferry_writer *writer;
    struct ferry_reader *reader;
};

static void wire_turn(struct wire *wire)
{
    const void *data;
    size_t bytes;

    assert_int_equal(ferry_writer_flush(wire->writer, NULL), 0);
    data = ferry_channel_buffer_data(wire->out, &bytes);
    wire->in = ferry_channel_buffer_reader(data, bytes, NULL);
    wire->reader = ferry_reader_new(wire->in, NULL);
}

static void bodies_go_out_and_come_back(void **state)
{
    struct device_list *list = device_list_new();
    struct pic pic = { .irr = 0x21 };
    uint32_t old = 0xaabbccdd;
    struct device *described = device_add(list, &pic_desc, &pic, NULL, 0, DEVICE_NO_ALIAS, NULL);
    struct device *legacy = device_add_legacy(list, "slirp", 0, &legacy_ops, &old, NULL);
    json_t *devices = json_array();
    struct state_staged *staged;
    struct ferry_error err = { 0 };
    struct wire wire = { .out = ferry_channel_buffer_writer(100, NULL) };

    wire.writer = ferry_writer_new(wire.out, NULL);
    assert_int_equal(device_size(described, NULL, NULL), 1);
    assert_int_equal(device_version(described, NULL), 1);
    assert_int_equal(device_version(legacy, NULL), 2);
    assert_int_equal(device_save_body(wire.writer, described, NULL, devices, NULL), 0);
    assert_int_equal(device_save_body(wire.writer, legacy, NULL, devices, NULL), 0);
    assert_int_equal(json_array_size(devices), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(devices, 1), "size")), 4);
    wire_turn(&wire);
    pic.irr = 0;
    old = 0;
    assert_int_equal(device_parse_body(described, 1, wire.reader, &staged, NULL), 0);
    assert_int_equal(pic.irr, 0);
    assert_int_equal(device_commit(described, staged, NULL), 0);
    assert_int_equal(pic.irr, 0x21);
    state_staged_free(staged);
    assert_int_equal(device_parse_body(legacy, 3, wire.reader, &staged, &err), -EINVAL);
    assert_string_equal(err.text, "device 'slirp' 0: version 3 is not one of 1 to 2");
    assert_int_equal(device_parse_body(legacy, 2, wire.reader, &staged, NULL), 0);
    assert_null(staged);
    assert_int_equal(device_commit(legacy, staged, NULL), 0);
    assert_int_equal(old, 0xaabbccdd);
    assert_true(device_parse_body(described, 1, wire.reader, &staged, &err) < 0);
    assert_non_null(strstr(err.text, "device 'i8259' 0: "));
    assert_non_null(strstr(err.text, "field 'irr'"));
    assert_null(staged);
    json_decref(devices);
    ferry_writer_free(wire.writer);
    ferry_reader_free(wire.reader);
    ferry_channel_unref(wire.out);
    ferry_channel_unref(wire.in);
    device_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_priority_then_registration),
        cmocka_unit_test(devices_are_found_by_name_and_instance),
        cmocka_unit_test(needed_and_unmigratable),
        cmocka_unit_test(a_description_that_cannot_work_is_refused),
        cmocka_unit_test(bodies_go_out_and_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
