/* SPDX-License-Identifier: BSD-3-Clause */
/* state_field_test.c - every way to reach elements: sub-arrays, counts with factors, pointers, allocations; hook order
 */
#include "state_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct point {
    uint8_t x, y;
    unsigned loads;
};

struct shape {
    uint8_t count;
    uint16_t pairs;
    uint8_t numbers[8];
    uint16_t *far;
    struct point grid[2][2];
    struct point *corners;
    struct point *made;
    struct point *some[3];
    uint8_t *bytes;
    struct point *held;
};

static char order[16];

static void note(char what)
{
    size_t used = strlen(order);

    if (used + 1 < sizeof(order))
        order[used] = what;
}

static int point_pre_load(void *copy, struct ferry_error *err)
{
    note('p');
    return 0;
}

static int point_post_load(void *opaque, int version, struct ferry_error *err)
{
    ((struct point *)opaque)->loads++;
    note('q');
    return 0;
}

static int shape_post_load(void *opaque, int version, struct ferry_error *err)
{
    note('Q');
    return 0;
}

static int shape_pre_load(void *copy, struct ferry_error *err)
{
    note('P');
    return 0;
}

static const struct ferry_field point_fields[] = {
    FERRY_U8(x, struct point),
    FERRY_U8_V(y, struct point, 2),
    FERRY_END,
};
static const struct ferry_state_desc point_desc = {
    .name = "point",
    .version_id = 2,
    .minimum_version_id = 1,
    .size = sizeof(struct point),
    .fields = point_fields,
    .hooks = { .pre_load = point_pre_load, .post_load = point_post_load },
};

/* One field, saved as @hex, then loaded from @other. */
static void assert_field(const struct ferry_field *field, struct shape *shape, const char *hex, const char *other)
{
    const struct ferry_field fields[] = { *field, FERRY_END };
    const struct ferry_state_desc desc = { .name = "shape", .size = sizeof(struct shape), .fields = fields };
    struct fixture_bytes bytes;
    struct ferry_error err = { 0 };

    fixture_assert_bytes(&desc, shape, hex);
    fixture_from_hex(other, &bytes);
    fixture_load(&desc, shape, 0, bytes.data, bytes.count, &err);
    assert_string_equal(ferry_error_text(&err), "no error");
    fixture_assert_bytes(&desc, shape, other);
}

static void parts_of_arrays(void **state)
{
    static const struct ferry_field part = FERRY_SUB_ARRAY(numbers, struct shape, 2, 3, U8);
    static const struct ferry_field twice = FERRY_VARRAY_MULTIPLY(numbers, struct shape, count, 2, U8);
    struct shape shape = { .count = 2, .numbers = { 1, 2, 3, 4, 5, 6, 7, 8 } };

    assert_field(&part, &shape, "030405", "0a0b0c");
    assert_memory_equal(shape.numbers, "\1\2\12\13\14\6\7\10", 8);
    assert_field(&twice, &shape, "01020a0b", "21222324");
    assert_memory_equal(shape.numbers, "\x21\x22\x23\x24\14\6\7\10", 8);
}

static void elements_behind_pointers_stay_where_they_are(void **state)
{
    static const struct ferry_field far = FERRY_POINTER_VARRAY(far, struct shape, count, 4, U16);
    static const struct ferry_field corners =
        FERRY_STRUCT_POINTER_VARRAY(corners, struct shape, pairs, 4, point_desc, struct point);
    static const struct ferry_field some =
        FERRY_STRUCT_ARRAY_OF_POINTERS(some, struct shape, 3, point_desc, struct point);
    static const struct ferry_field bytes = FERRY_VBUFFER_MULTIPLY(bytes, struct shape, count, 2, 8);
    static const struct ferry_field one = FERRY_STRUCT_POINTER(held, struct shape, point_desc, struct point);
    uint16_t far_there[4] = { 1, 2, 3, 4 };
    struct point points[4] = { { 1, 2, 0 }, { 3, 4, 0 }, { 5, 6, 0 }, { 7, 8, 0 } };
    uint8_t bytes_there[8] = "abcdefgh";
    struct shape shape = { .count = 2,
                           .pairs = 2,
                           .far = far_there,
                           .corners = points,
                           .some = { &points[2], NULL, &points[3] },
                           .bytes = bytes_there,
                           .held = &points[0] };

    assert_field(&far, &shape, "0001 0002", "0009 000a");
    assert_ptr_equal(shape.far, far_there);
    assert_int_equal(far_there[1], 10);
    assert_int_equal(far_there[2], 3);
    assert_field(&corners, &shape, "0102 0304", "1112 1314");
    assert_int_equal(points[1].y, 0x14);
    assert_int_equal(points[1].loads, 1);
    assert_field(&some, &shape, "0506 30 0708", "1516 30 1718");
    assert_ptr_equal(shape.some[2], &points[3]);
    assert_int_equal(points[3].x, 0x17);
    assert_field(&bytes, &shape, "61626364", "01020304");
    assert_memory_equal(bytes_there, "\1\2\3\4efgh", 8);
    assert_field(&one, &shape, "1112", "7172");
    assert_int_equal(points[0].x, 0x71);
    shape.far = NULL;
    assert_true(fixture_load(&(const struct ferry_state_desc){ .name = "shape",
                                                               .size = sizeof(shape),
                                                               .fields = (struct ferry_field[]){ far, FERRY_END } },
                             &shape, 0, "\0\1\0\2", 4, NULL) < 0);
}

static void an_allocated_array_is_exchanged(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_U8(count, struct shape),
        FERRY_STRUCT_ALLOC_VARRAY(made, struct shape, count, 3, point_desc, struct point),
        FERRY_ALLOC_VBUFFER(bytes, struct shape, count, 3),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "shape", .size = sizeof(struct shape), .fields = fields };
    struct shape shape = { .count = 1, .made = calloc(1, sizeof(struct point)), .bytes = malloc(1) };

    assert_int_equal(fixture_load(&desc, &shape, 0, "\3\1\2\3\4\5\6abc", 10, NULL), 0);
    assert_int_equal(shape.count, 3);
    assert_int_equal(shape.made[2].y, 6);
    assert_int_equal(shape.made[2].loads, 1);
    assert_memory_equal(shape.bytes, "abc", 3);
    assert_true(fixture_load(&desc, &shape, 0, "\4\1\2\3\4\5\6\7\10abcd", 13, NULL) < 0);
    assert_int_equal(shape.made[2].y, 6);
    assert_int_equal(fixture_load(&desc, &shape, 0, "\0", 1, NULL), 0);
    assert_null(shape.made);
    assert_null(shape.bytes);
    fixture_assert_bytes(&desc, &shape, "00");
}

static void rows_and_versions_of_structs(void **state)
{
    static const struct ferry_field grid = FERRY_STRUCT_ARRAY_2D(grid, struct shape, 2, 2, point_desc, struct point);
    static const struct ferry_field first = FERRY_VSTRUCT(grid[0][1], struct shape, point_desc, struct point, 1);
    struct shape shape = { .grid = { { { 1, 2, 0 }, { 3, 4, 0 } }, { { 5, 6, 0 }, { 7, 8, 0 } } } };

    assert_field(&grid, &shape, "0102 0304 0506 0708", "1112 1314 1516 1718");
    assert_int_equal(shape.grid[1][0].x, 0x15);
    assert_field(&first, &shape, "13", "23");
    assert_int_equal(shape.grid[0][1].y, 0x14);
}

static void gaps_are_skipped_whatever_is_in_them(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_U8(count, struct shape),
        FERRY_UNUSED_VARRAY(struct shape, count, 2, 6),
        FERRY_UNUSED(300),
        FERRY_U16(pairs, struct shape),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "shape", .size = sizeof(struct shape), .fields = fields };
    struct shape shape = { .count = 2, .pairs = 0x1234 }, loaded = { 0 };
    struct fixture_bytes bytes;

    assert_int_equal(fixture_save(&desc, &shape, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes.count, 1 + 4 + 300 + 2);
    for (size_t i = 1; i < 305; i++)
        assert_int_equal(bytes.data[i], 0);
    memset(bytes.data + 1, 0xee, 304);
    assert_int_equal(fixture_load(&desc, &loaded, 0, bytes.data, bytes.count, NULL), 0);
    assert_int_equal(loaded.pairs, 0x1234);
    bytes.data[0] = 4;
    assert_true(fixture_load(&desc, &loaded, 0, bytes.data, bytes.count, NULL) < 0);
}

static void hooks_run_in_order_and_post_load_after_all_is_parsed(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_STRUCT(grid[0][0], struct shape, point_desc, struct point),
        FERRY_STRUCT(grid[0][1], struct shape, point_desc, struct point),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = {
        .name = "shape",
        .size = sizeof(struct shape),
        .fields = fields,
        .hooks = { .pre_load = shape_pre_load, .post_load = shape_post_load },
    };
    struct shape shape = { 0 };

    memset(order, 0, sizeof(order));
    assert_int_equal(fixture_load(&desc, &shape, 0, "\1\2\3\4", 4, NULL), 0);
    assert_string_equal(order, "PppqqQ");
}

static int failing_pre_save(void *opaque, struct ferry_error *err)
{
    return -EBUSY; /* without a sentence */
}

static int counting_post_save(void *opaque, struct ferry_error *err)
{
    note('s');
    return ((struct shape *)opaque)->count ? ferry_error_set(err, -EIO, "cannot go on") : 0;
}

static void what_save_hooks_say_reaches_the_caller(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_VARRAY(numbers, struct shape, pairs, U8),
        FERRY_END,
    };
    struct ferry_state_desc desc = {
        .name = "shape", .size = sizeof(struct shape), .fields = fields, .hooks = { .post_save = counting_post_save }
    };
    struct shape shape = { .count = 1, .pairs = 8 };
    struct fixture_bytes bytes;
    struct ferry_error err;

    memset(order, 0, sizeof(order));
    assert_int_equal(fixture_save(&desc, &shape, NULL, NULL, &bytes, &err), -EIO);
    assert_non_null(strstr(err.text, "shape: cannot go on"));
    shape.pairs = 9; /* more than there is room for: not saved, but post_save still runs */
    assert_true(fixture_save(&desc, &shape, NULL, NULL, &bytes, &err) < 0);
    assert_non_null(strstr(err.text, "shape: field 'numbers': a count of 9 x 1, where at most 8 are allowed"));
    assert_string_equal(order, "ss");
    desc.hooks.pre_save = failing_pre_save;
    assert_int_equal(fixture_save(&desc, &shape, NULL, NULL, &bytes, &err), -EBUSY);
    assert_non_null(strstr(err.text, "shape: failed without saying why"));
    assert_string_equal(order, "ss");
    desc.unmigratable = "no";
    assert_int_equal(fixture_save(&desc, &shape, NULL, NULL, &bytes, &err), -ENOTSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_arrays),
        cmocka_unit_test(elements_behind_pointers_stay_where_they_are),
        cmocka_unit_test(an_allocated_array_is_exchanged),
        cmocka_unit_test(rows_and_versions_of_structs),
        cmocka_unit_test(gaps_are_skipped_whatever_is_in_them),
        cmocka_unit_test(hooks_run_in_order_and_post_load_after_all_is_parsed),
        cmocka_unit_test(what_save_hooks_say_reaches_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
