/* SPDX-License-Identifier: BSD-3-Clause */
/* state_tree_test.c - values as JSON and back, sizes and digests agree with the wire */
#include "state_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_tree_holds_everything(void **state)
{
    for (unsigned n = 0; n < 4; n++) {
        struct zoo *from = zoo_new(n), *to = zoo_new(3 - n);
        struct ferry_error err = { 0 };
        json_t *tree = state_to_tree(&zoo_desc, from, NULL, &err), *read;
        struct state_staged *staged;
        struct fixture_bytes first, second;
        char *text;

        assert_string_equal(ferry_error_text(&err), "no error");
        text = json_dumps(tree, 0); /* through text, as a file would be */
        read = json_loads(text, 0, NULL);
        staged = state_from_tree(&zoo_desc, to, 3, read, &err);
        assert_string_equal(ferry_error_text(&err), "no error");
        assert_int_equal(state_commit(staged, &err), 0);
        assert_int_equal(fixture_save(&zoo_desc, from, NULL, NULL, &first, NULL), 0);
        assert_int_equal(fixture_save(&zoo_desc, to, NULL, NULL, &second, NULL), 0);
        assert_int_equal(first.count, second.count);
        assert_memory_equal(first.data, second.data, first.count);
        state_staged_free(staged);
        json_decref(tree);
        json_decref(read);
        free(text);
        zoo_free(from);
        zoo_free(to);
    }
}

static void a_tree_reads_as_people_expect(void **state)
{
    struct zoo *zoo = zoo_new(2);
    json_t *tree = state_to_tree(&zoo_desc, zoo, NULL, NULL);

    assert_true(json_is_false(json_object_get(tree, "on")));
    assert_int_equal(json_integer_value(json_object_get(tree, "i32")), -70002);
    assert_string_equal(json_string_value(json_object_get(tree, "u64")), "18364758544493064706");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(tree, "array"), 2)), 8);
    assert_true(json_is_null(json_array_get(json_object_get(tree, "sparse"), 1)));
    assert_string_equal(json_string_value(json_object_get(tree, "blob")), "63636363");
    assert_int_equal(json_array_size(json_object_get(tree, "requests")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(tree, "wide"), "low")), 2);
    assert_string_equal(json_string_value(json_object_get(tree, "deep")), "ddeeeefffd");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json_object_get(tree, "zoo/extra"), "fields"), "extra")), 1);
    json_decref(tree);
    zoo_free(zoo);
}

static void assert_tree_refused(json_t *tree, const char *sentence)
{
    struct zoo *zoo = zoo_new(1);
    uint64_t before = zoo_fingerprint(zoo);
    struct ferry_error err = { 0 };

    assert_null(state_from_tree(&zoo_desc, zoo, 3, tree, &err));
    if (!strstr(err.text, sentence))
        fail_msg("'%s' is not in '%s'", sentence, err.text);
    assert_true(zoo_fingerprint(zoo) == before);
    zoo_free(zoo);
    json_decref(tree);
}

static void a_wrong_tree_is_refused(void **state)
{
    struct zoo *zoo = zoo_new(2);
    json_t *good = state_to_tree(&zoo_desc, zoo, NULL, NULL), *bad;

    bad = json_deep_copy(good);
    json_object_set_new(bad, "u8", json_integer(256));
    assert_tree_refused(bad, "zoo: field 'u8': the tree of values does not hold a value that fits here");
    bad = json_deep_copy(good);
    json_object_set_new(bad, "u64", json_integer(-1));
    assert_tree_refused(bad, "zoo: field 'u64'");
    bad = json_deep_copy(good);
    json_object_set_new(bad, "on", json_integer(1));
    assert_tree_refused(bad, "zoo: field 'on': the tree of values does not hold true or false here");
    bad = json_deep_copy(good);
    json_object_del(bad, "i16");
    assert_tree_refused(bad, "zoo: field 'i16': not in the tree of values");
    bad = json_deep_copy(good);
    json_object_set_new(bad, "novel", json_integer(1));
    assert_tree_refused(bad, "of which");
    bad = json_deep_copy(good);
    json_array_append_new(json_object_get(bad, "array"), json_integer(1));
    assert_tree_refused(bad, "zoo: field 'array");
    bad = json_deep_copy(good);
    json_object_set_new(bad, "label", json_string("00"));
    assert_tree_refused(bad, "zoo: field 'label': 1 bytes, where 12 must be");
    bad = json_deep_copy(good);
    json_object_set_new(bad, "deep", json_string("dd0"));
    assert_tree_refused(bad, "hexadecimal");
    bad = json_deep_copy(good);
    json_object_set_new(bad, "deep", json_string("0000000000"));
    assert_tree_refused(bad, "0x00 is no mark");
    bad = json_deep_copy(good);
    json_object_set_new(json_object_get(bad, "zoo/extra"), "version", json_integer(-1));
    assert_tree_refused(bad, "version");
    assert_tree_refused(json_array(), "an object");
    json_decref(good);
    zoo_free(zoo);
}

static void floating_point_survives(void **state)
{
    static const double values[] = { 0.0, -0.0, 0.1, 1e300, -5e-324, INFINITY, -INFINITY, NAN };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct zoo *from = zoo_new(1), *to = zoo_new(1);
        struct state_staged *staged;
        json_t *tree;

        from->real = values[i];
        tree = state_to_tree(&zoo_desc, from, NULL, NULL);
        staged = state_from_tree(&zoo_desc, to, 3, tree, NULL);
        assert_non_null(staged);
        assert_int_equal(state_commit(staged, NULL), 0);
        assert_memory_equal(&to->real, &from->real, sizeof(double));
        state_staged_free(staged);
        json_decref(tree);
        zoo_free(from);
        zoo_free(to);
    }
}

static void size_is_what_a_save_puts(void **state)
{
    for (unsigned n = 0; n < 4; n++) {
        struct zoo *zoo = zoo_new(n);
        struct fixture_bytes bytes;

        assert_int_equal(fixture_save(&zoo_desc, zoo, NULL, NULL, &bytes, NULL), 0);
        assert_int_equal(state_size(&zoo_desc, zoo, NULL, NULL), bytes.count);
        zoo_free(zoo);
    }
}

static void a_digest_sees_every_difference(void **state)
{
    struct zoo *zoo = zoo_new(2), *same = zoo_new(2);
    uint8_t first[16], second[16];

    assert_int_equal(state_digest(&zoo_desc, zoo, NULL, first, NULL), 0);
    same->spare = 99; /* not described */
    assert_int_equal(state_digest(&zoo_desc, same, NULL, second, NULL), 0);
    assert_memory_equal(first, second, 16);
    same->requests.tqh_first->data[0] ^= 1;
    assert_int_equal(state_digest(&zoo_desc, same, NULL, second, NULL), 0);
    assert_memory_not_equal(first, second, 16);
    same->requests.tqh_first->data[0] ^= 1;
    same->deep++;
    assert_int_equal(state_digest(&zoo_desc, same, NULL, second, NULL), 0);
    assert_memory_not_equal(first, second, 16);
    zoo_free(zoo);
    zoo_free(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_holds_everything),  cmocka_unit_test(a_tree_reads_as_people_expect),
        cmocka_unit_test(a_wrong_tree_is_refused),  cmocka_unit_test(floating_point_survives),
        cmocka_unit_test(size_is_what_a_save_puts), cmocka_unit_test(a_digest_sees_every_difference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
