/* SPDX-License-Identifier: BSD-3-Clause */
/* convert_test.c - a device's state crosses between versions by converters, up and back, staged as any other load */
#include "convert.h"
#include "device.h"
#include "state_fixture.h"
#include "values.h"

#include <errno.h>
#include <ferry/channel.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a timer: milliseconds in version 1, nanoseconds in version 2 ------------------------------------------------ */

struct timer_v1 {
    uint32_t period_ms;
    uint8_t label[4];
    uint32_t count;
    uint16_t *marks;
    uint8_t room_bytes;
    uint8_t *room; /* of 8 */
};

struct timer {
    uint64_t period_ns;
    bool periodic;
    uint8_t label[4];
    uint32_t count;
    uint16_t *marks;
    uint8_t room_bytes;
    uint8_t *room; /* of 8 */
};

#define TIMER_TAIL(type)                                                                                \
    FERRY_BUFFER(label, type), FERRY_U32(count, type), FERRY_ALLOC_VARRAY(marks, type, count, 16, U16), \
        FERRY_U8(room_bytes, type), FERRY_VBUFFER(room, type, room_bytes, 8)

static const struct ferry_field v1_fields[] = {
    FERRY_U32(period_ms, struct timer_v1),
    TIMER_TAIL(struct timer_v1),
    FERRY_END,
};
static const struct ferry_state_desc v1_desc = {
    .name = "timer", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct timer_v1), .fields = v1_fields
};
static const struct ferry_field v2_fields[] = {
    FERRY_U64(period_ns, struct timer),
    FERRY_BOOL(periodic, struct timer),
    TIMER_TAIL(struct timer),
    FERRY_END,
};
static int v2_check(const void *copy, int version, struct ferry_error *err)
{
    const struct timer *timer = copy;

    return timer->period_ns ? 0 : ferry_error_set(err, -EINVAL, "a timer that never pauses");
}
static const struct ferry_state_desc v2_desc = { .name = "timer",
                                                 .version_id = 2,
                                                 .minimum_version_id = 2,
                                                 .size = sizeof(struct timer),
                                                 .fields = v2_fields,
                                                 .hooks = { .check = v2_check } };

static int up(struct ferry_values *values, struct ferry_error *err)
{
    uint64_t ms;
    int ret = ferry_values_get_u64(values, "period_ms", &ms, err);

    if (ret == 0)
        ret = ferry_values_remove(values, "period_ms", err);
    if (ret == 0)
        ret = ferry_values_set_u64(values, "period_ns", ms * 1000000, err);
    return ret < 0 ? ret : ferry_values_set_bool(values, "periodic", true, err);
}

static int down(struct ferry_values *values, struct ferry_error *err)
{
    uint64_t ns;
    bool periodic;
    int ret = ferry_values_get_u64(values, "period_ns", &ns, err);

    if (ret == 0)
        ret = ferry_values_get_bool(values, "periodic", &periodic, err);
    if (ret == 0 && (!periodic || ns % 1000000))
        ret = ferry_error_set(err, -EINVAL, "version 1 has only periods of whole milliseconds");
    if (ret == 0)
        ret = ferry_values_remove(values, "period_ns", err);
    if (ret == 0)
        ret = ferry_values_remove(values, "periodic", err);
    return ret < 0 ? ret : ferry_values_set_u64(values, "period_ms", ns / 1000000, err);
}

static const struct ferry_converter timer_converter = { .other = &v1_desc, .from_other = up, .to_other = down };

static void tail_init(uint16_t **marks, uint32_t *count, uint8_t **room, uint8_t *room_bytes)
{
    *count = 2;
    *marks = calloc(2, sizeof(**marks));
    *room = calloc(8, 1);
    *room_bytes = 3;
    (*marks)[1] = 0x4711;
    memcpy(*room, "abcdefgh", 8);
}

/* ---- both directions --------------------------------------------------------------------------------------------- */

struct wire {
    struct ferry_channel *out, *in;
    struct ferry_writer *writer;
    struct ferry_reader *reader;
};

static void wire_open(struct wire *wire)
{
    *wire = (struct wire){ .out = ferry_channel_buffer_writer(100, NULL) };
    wire->writer = ferry_writer_new(wire->out, NULL);
}

static size_t wire_turn(struct wire *wire)
{
    const void *data;
    size_t bytes;

    assert_int_equal(ferry_writer_flush(wire->writer, NULL), 0);
    data = ferry_channel_buffer_data(wire->out, &bytes);
    wire->in = ferry_channel_buffer_reader(data, bytes, NULL);
    wire->reader = ferry_reader_new(wire->in, NULL);
    return bytes;
}

static void wire_close(struct wire *wire)
{
    ferry_writer_free(wire->writer);
    ferry_reader_free(wire->reader);
    ferry_channel_unref(wire->out);
    ferry_channel_unref(wire->in);
}

struct ends {
    struct device_list *old_list, *new_list;
    struct device *old_device, *new_device;
    struct timer_v1 old;
    struct timer new;
};

static int ends_setup(void **state)
{
    struct ends *ends = calloc(1, sizeof(*ends));

    ends->old_list = device_list_new();
    ends->new_list = device_list_new();
    ends->old_device = device_add(ends->old_list, &v1_desc, &ends->old, NULL, 0, DEVICE_NO_ALIAS, NULL);
    ends->new_device = device_add(ends->new_list, &v2_desc, &ends->new, NULL, 0, DEVICE_NO_ALIAS, NULL);
    ends->old.period_ms = 20;
    ends->new.period_ns = 7000000;
    ends->new.periodic = true;
    memcpy(ends->old.label, "old", 4);
    memcpy(ends->new.label, "new", 4);
    tail_init(&ends->old.marks, &ends->old.count, &ends->old.room, &ends->old.room_bytes);
    tail_init(&ends->new.marks, &ends->new.count, &ends->new.room, &ends->new.room_bytes);
    ends->new.marks[1] = 1;
    *state = ends;
    return 0;
}

static int ends_teardown(void **state)
{
    struct ends *ends = *state;

    device_list_free(ends->old_list);
    device_list_free(ends->new_list);
    free(ends->old.marks);
    free(ends->old.room);
    free(ends->new.marks);
    free(ends->new.room);
    free(ends);
    return 0;
}

static void an_upgrade(void **state)
{
    struct ends *ends = *state;
    struct state_staged *staged;
    struct ferry_error err = { 0 };
    struct wire wire;

    wire_open(&wire);
    assert_int_equal(device_save_body(wire.writer, ends->old_device, NULL, NULL, NULL), 0);
    wire_turn(&wire);
    assert_int_equal(device_list_add_converter(ends->new_list, &timer_converter, NULL), 0);
    memset(ends->new.room, 'x', 8);
    assert_int_equal(device_parse_body(ends->new_device, 1, wire.reader, &staged, &err), 0);
    assert_int_equal(ends->new.period_ns, 7000000); /* not yet */
    assert_int_equal(device_commit(ends->new_device, staged, NULL), 0);
    assert_int_equal(ends->new.period_ns, 20000000);
    assert_true(ends->new.periodic);
    assert_string_equal(ends->new.label, "old");
    assert_int_equal(ends->new.marks[1], 0x4711);
    assert_memory_equal(ends->new.room, "abcxxxxx", 8);
    state_staged_free(staged);
    wire_close(&wire);
}

static void a_roll_back(void **state)
{
    struct ends *ends = *state;
    json_t *devices = json_array();
    struct state_staged *staged;
    struct ferry_error err = { 0 };
    struct wire wire;
    size_t bytes;

    assert_int_equal(device_list_add_converter(ends->new_list, &timer_converter, NULL), 0);
    assert_int_equal(device_list_choose(ends->new_list, 0, 3, NULL, &err), -EINVAL);
    assert_int_equal(device_list_choose(ends->new_list, 1, 1, NULL, &err), -EINVAL);
    assert_int_equal(device_list_choose(ends->new_list, 0, 1, NULL, &err), 0);
    assert_int_equal(device_version(ends->new_device, NULL), 1);
    wire_open(&wire);
    assert_int_equal(device_save_body(wire.writer, ends->new_device, NULL, devices, &err), 0);
    bytes = wire_turn(&wire);
    assert_int_equal(device_size(ends->new_device, NULL, &err), bytes);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(devices, 0), "version")), 1);
    assert_int_equal(device_parse_body(ends->old_device, 1, wire.reader, &staged, &err), 0);
    assert_int_equal(device_commit(ends->old_device, staged, NULL), 0);
    assert_int_equal(ends->old.period_ms, 7);
    assert_string_equal(ends->old.label, "new");
    assert_int_equal(ends->old.marks[1], 1);
    state_staged_free(staged);
    wire_close(&wire);
    json_decref(devices);
    device_list_choose_none(ends->new_list);
    assert_int_equal(device_version(ends->new_device, NULL), 2);
}

static void what_cannot_be_converted_is_refused(void **state)
{
    struct ends *ends = *state;
    struct state_staged *staged;
    struct ferry_error err = { 0 };
    struct wire wire;

    assert_int_equal(device_list_add_converter(ends->new_list, &timer_converter, NULL), 0);
    assert_int_equal(device_list_choose(ends->new_list, 0, 1, NULL, &err), 0);
    ends->new.period_ns = 1;
    wire_open(&wire);
    assert_int_equal(device_save_body(wire.writer, ends->new_device, NULL, NULL, &err), -EINVAL);
    assert_string_equal(err.text, "device 'timer' 0: converting version 2 to 1: version 1 has only periods of whole "
                                  "milliseconds");
    assert_int_equal(device_size(ends->new_device, NULL, &err), -EINVAL);
    wire_close(&wire);

    ends->old.period_ms = 0; /* which version 2 does not accept */
    wire_open(&wire);
    assert_int_equal(device_save_body(wire.writer, ends->old_device, NULL, NULL, NULL), 0);
    wire_turn(&wire);
    assert_true(device_parse_body(ends->new_device, 1, wire.reader, &staged, &err) < 0);
    assert_non_null(strstr(err.text, "a timer that never pauses"));
    assert_null(staged);
    assert_int_equal(ends->new.period_ns, 1);
    wire_close(&wire);
}

static void without_a_converter_the_version_is_refused(void **state)
{
    struct ends *ends = *state;
    struct state_staged *staged;
    struct ferry_error err = { 0 };
    struct wire wire;

    wire_open(&wire);
    assert_int_equal(device_save_body(wire.writer, ends->old_device, NULL, NULL, NULL), 0);
    wire_turn(&wire);
    assert_true(device_parse_body(ends->new_device, 1, wire.reader, &staged, &err) < 0);
    assert_non_null(strstr(err.text, "version 1 is older"));
    wire_close(&wire);
}

static void every_cut_body_is_refused(void **state)
{
    struct ends *ends = *state;
    struct fixture_bytes bytes;

    assert_int_equal(device_list_add_converter(ends->new_list, &timer_converter, NULL), 0);
    assert_int_equal(fixture_save(&v1_desc, &ends->old, NULL, NULL, &bytes, NULL), 0);
    for (size_t n = 0; n < bytes.count; n++) {
        struct ferry_channel *chan = ferry_channel_buffer_reader(bytes.data, n, NULL);
        struct ferry_reader *reader = ferry_reader_new(chan, NULL);
        struct state_staged *staged;

        assert_true(device_parse_body(ends->new_device, 1, reader, &staged, NULL) < 0);
        assert_null(staged);
        assert_int_equal(ends->new.period_ns, 7000000);
        ferry_reader_free(reader);
        ferry_channel_unref(chan);
    }
}

/* ---- every kind of field passes through the other's struct unharmed ---------------------------------------------- */

static int nothing(struct ferry_values *values, struct ferry_error *err)
{
    return 0;
}

struct small {
    struct zoo_request *none;
    TAILQ_HEAD(, zoo_request) list;
    uint8_t bits_used;
    uint64_t *bits;
    struct zoo_pair pair[2];
    struct zoo_pair *behind;
};
static const struct ferry_field pair_fields[] = { FERRY_U8(kind, struct zoo_pair), FERRY_END };
static const struct ferry_state_desc pair_desc = {
    .name = "pair", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct zoo_pair), .fields = pair_fields
};
static const struct ferry_field item_fields[] = { FERRY_U32(tag, struct zoo_request), FERRY_END };
static const struct ferry_state_desc item_desc = {
    .name = "item", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct zoo_request), .fields = item_fields
};
static const struct ferry_field small_fields[] = {
    FERRY_TAILQ(list, struct small, item_desc, struct zoo_request, link, 8),
    FERRY_U8(bits_used, struct small),
    FERRY_BITMAP(bits, struct small, bits_used, 100),
    FERRY_STRUCT_ARRAY(pair, struct small, 2, pair_desc, struct zoo_pair),
    FERRY_STRUCT_POINTER(behind, struct small, pair_desc, struct zoo_pair),
    FERRY_END,
};
#define SMALL(v)                                                                                     \
    {                                                                                                \
        .name = "small", .version_id = (v), .minimum_version_id = (v), .size = sizeof(struct small), \
        .fields = small_fields                                                                       \
    }
static const struct ferry_state_desc small_v1 = SMALL(1), small_v2 = SMALL(2);
static const struct ferry_converter small_converter = { &small_v1, nothing, nothing };

static void lists_pointers_and_bitmaps_pass(void **state)
{
    struct zoo_pair behind = { .kind = 5 };
    uint64_t words[2] = { 0x123456789, 0 };
    struct zoo_request first = { .tag = 11 }, second = { .tag = 22 };
    struct small small = { .bits_used = 70, .bits = words, .behind = &behind, .pair = { { 1, 0 }, { 2, 0 } } };
    struct device_list *list = device_list_new();
    struct device *device = device_add(list, &small_v2, &small, NULL, 0, DEVICE_NO_ALIAS, NULL);
    struct state_staged *staged;
    struct ferry_error err = { 0 };
    struct wire wire;

    TAILQ_INIT(&small.list);
    TAILQ_INSERT_TAIL(&small.list, &first, link);
    TAILQ_INSERT_TAIL(&small.list, &second, link);
    assert_int_equal(device_list_add_converter(list, &small_converter, NULL), 0);
    assert_int_equal(device_list_choose(list, 0, 1, NULL, NULL), 0);
    wire_open(&wire);
    assert_int_equal(device_save_body(wire.writer, device, NULL, NULL, &err), 0);
    wire_turn(&wire);
    TAILQ_INIT(&small.list);
    memset(words, 0, sizeof(words));
    behind.kind = small.pair[1].kind = 0;
    assert_int_equal(device_parse_body(device, 1, wire.reader, &staged, &err), 0);
    assert_int_equal(device_commit(device, staged, &err), 0);
    state_staged_free(staged);
    assert_true(words[0] == 0x123456789);
    assert_int_equal(behind.kind, 5);
    assert_int_equal(small.pair[1].kind, 2);
    assert_int_equal(TAILQ_FIRST(&small.list)->tag, 11);
    assert_int_equal(TAILQ_NEXT(TAILQ_FIRST(&small.list), link)->tag, 22);
    while (TAILQ_FIRST(&small.list)) {
        struct zoo_request *request = TAILQ_FIRST(&small.list);

        TAILQ_REMOVE(&small.list, request, link);
        free(request);
    }
    wire_close(&wire);
    device_list_free(list);
}

static void useless_converters_are_refused(void **state)
{
    static const struct ferry_state_desc bad = { .name = "x", .fields = v1_fields };
    const struct ferry_converter none = { .other = &v1_desc }, broken = { &bad, nothing, NULL },
                                 pointers = { &zoo_desc, nothing, NULL };
    struct convert_list list = { 0 };
    struct ferry_error err;

    assert_int_equal(convert_list_add(&list, &none, &err), -EINVAL);
    assert_int_equal(convert_list_add(&list, &broken, &err), -EINVAL);
    assert_int_equal(convert_list_add(&list, &pointers, &err), -ENOTSUP);
    assert_int_equal(convert_list_add(&list, &timer_converter, &err), 0);
    assert_int_equal(convert_list_add(&list, &timer_converter, &err), -EEXIST);
    assert_ptr_equal(convert_find_load(&list, "timer", 1), &timer_converter);
    assert_ptr_equal(convert_find_save(&list, "timer", 1), &timer_converter);
    assert_null(convert_find_load(&list, "timer", 2));
    assert_null(convert_find_load(&list, "time", 1));
    convert_list_clear(&list);
}

/* ---- values by path ---------------------------------------------------------------------------------------------- */

static void values_are_found_by_path(void **state)
{
    struct ferry_values values = {
        .root = json_loads("{\"a\": [{\"b.c\": 1, \"b\": {\"c\": 2}}, {\"x/y\": {\"fields\": {\"k\": -3}}}],"
                           " \"big\": \"18446744073709551615\", \"on\": true, \"raw\": \"00ff10\"}",
                           0, NULL)
    };
    uint8_t raw[3];
    uint64_t u;
    int64_t i;
    bool on;

    assert_int_equal(ferry_values_get_u64(&values, "a[0].b.c", &u, NULL), 0);
    assert_int_equal(u, 1);
    assert_int_equal(ferry_values_get_i64(&values, "a[1].x/y.fields.k", &i, NULL), 0);
    assert_int_equal(i, -3);
    assert_int_equal(ferry_values_get_u64(&values, "a[1].x/y.fields.k", &u, NULL), -ERANGE);
    assert_int_equal(ferry_values_get_u64(&values, "big", &u, NULL), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(ferry_values_get_i64(&values, "big", &i, NULL), -ERANGE);
    assert_int_equal(ferry_values_get_bool(&values, "on", &on, NULL), 0);
    assert_true(on);
    assert_int_equal(ferry_values_get_bool(&values, "big", &on, NULL), -EINVAL);
    assert_int_equal(ferry_values_get_bytes(&values, "raw", raw, 3, NULL), 0);
    assert_int_equal(raw[1], 0xff);
    assert_int_equal(ferry_values_get_bytes(&values, "raw", raw, 2, NULL), -ERANGE);
    assert_int_equal(ferry_values_get_bytes(&values, "on", raw, 2, NULL), -EINVAL);
    assert_int_equal(ferry_values_count(&values, "a", NULL), 2);
    assert_int_equal(ferry_values_count(&values, "on", NULL), -EINVAL);
    for (const char *const *p = (const char *const[]){ "a[2]", "a[3]", "a[x]", "a.b", "on.x", "", "nope", "a[0", NULL };
         *p; p++) {
        assert_false(ferry_values_has(&values, *p));
        assert_int_equal(ferry_values_get_u64(&values, *p, &u, NULL), -ENOENT);
        assert_int_equal(ferry_values_remove(&values, *p, NULL), -ENOENT);
    }
    json_decref(values.root);
}

static void values_are_put_by_path(void **state)
{
    struct ferry_values values = { .root = json_loads("{\"a\": {\"x\": 1}, \"l\": [5]}", 0, NULL) };
    char *text;

    assert_int_equal(ferry_values_set_u64(&values, "a.y", UINT64_MAX, NULL), 0);
    assert_int_equal(ferry_values_set_i64(&values, "a.x", -1, NULL), 0);
    assert_int_equal(ferry_values_set_u64(&values, "l[1]", 6, NULL), 0);
    assert_int_equal(ferry_values_set_u64(&values, "l[0]", 4, NULL), 0);
    assert_int_equal(ferry_values_set_u64(&values, "l[7]", 4, NULL), -ENOENT);
    assert_int_equal(ferry_values_set_array(&values, "m", NULL), 0);
    assert_int_equal(ferry_values_set_struct(&values, "m[0]", NULL), 0);
    assert_int_equal(ferry_values_set_bytes(&values, "m[0].b", "\x01\xab", 2, NULL), 0);
    assert_int_equal(ferry_values_move(&values, "a.x", "m[0].x", NULL), 0);
    assert_int_equal(ferry_values_move(&values, "a.x", "m[0].x", NULL), -ENOENT);
    assert_int_equal(ferry_values_remove(&values, "l[0]", NULL), 0);
    text = json_dumps(values.root, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"a\":{\"y\":\"18446744073709551615\"},\"l\":[6],\"m\":[{\"b\":\"01ab\",\"x\":-1}]}");
    free(text);
    json_decref(values.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_upgrade, ends_setup, ends_teardown),
        cmocka_unit_test_setup_teardown(a_roll_back, ends_setup, ends_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_converted_is_refused, ends_setup, ends_teardown),
        cmocka_unit_test_setup_teardown(without_a_converter_the_version_is_refused, ends_setup, ends_teardown),
        cmocka_unit_test_setup_teardown(every_cut_body_is_refused, ends_setup, ends_teardown),
        cmocka_unit_test(lists_pointers_and_bitmaps_pass),
        cmocka_unit_test(useless_converters_are_refused),
        cmocka_unit_test(values_are_found_by_path),
        cmocka_unit_test(values_are_put_by_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
