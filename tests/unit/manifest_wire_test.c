/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_wire_test.c - a manifest crosses the wire unchanged; cut, flipped and flooding ones are refused or survived
 */
#include "manifest.h"
#include "state_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- reasons --------------------------------------------------------------------------------------------------------
 */

static void no_reason_is_forgotten(void **state)
{
    struct reasons reasons = { 0 }, there = { 0 };
    struct ferry_error err = { 0 };
    size_t bytes;
    uint8_t *data;

    for (int i = 0; i < 150; i++)
        reasons_add(&reasons, FERRY_E_UNKNOWN_DEVICE, "device '%d' is \x1b[31mred", i);
    assert_int_equal(reasons.count, REASONS_MAX);
    assert_int_equal(reasons.dropped, 50);
    assert_null(strchr(reasons.rows[0].text, 0x1b));
    assert_int_equal(reasons_error(&reasons, &err), -EINVAL);
    assert_int_equal(err.code, FERRY_E_UNKNOWN_DEVICE);
    assert_non_null(strstr(err.text, " more"));
    data = reasons_encode(&reasons, 300, &bytes, NULL);
    assert_true(bytes <= 300);
    assert_int_equal(reasons_decode(data, bytes, &there, NULL), 0);
    assert_true(there.count > 3);
    assert_non_null(strstr(there.rows[there.count - 1].text, "more"));
    reasons_clear(&there);
    for (size_t n = 0; n < bytes; n++) {
        uint8_t *cut = malloc(n ? n : 1);

        memcpy(cut, data, n);
        assert_int_equal(reasons_decode(cut, n, &there, NULL), -EPROTO);
        assert_null(there.rows);
        free(cut);
    }
    free(data);
    reasons_clear(&reasons);
}

/* ---- hostile bytes --------------------------------------------------------------------------------------------------
 */

static void no_save(struct ferry_writer *writer, void *opaque)
{
}

static int no_load(struct ferry_reader *reader, void *opaque, int version, struct ferry_error *err)
{
    return 0;
}

static const struct ferry_legacy_ops legacy = { 4, 2, no_save, no_load };

static uint8_t *good_bytes(size_t *bytes)
{
    static const struct ferry_setting settings[] = { { "queues", "4" }, { NULL, NULL } };
    static const struct ferry_model model = { "https://example.org/zoo", settings };
    const struct ferry_block block = { "ram", (void *)(uintptr_t)0x100000000, 8 << 20, 4096, FERRY_BLOCK_PRIVATE };
    struct zoo *zoo = zoo_new(2);
    struct ram_map ram;
    struct device_list *devices = device_list_new();
    const struct manifest_of of = { MANIFEST_SOURCE, "pc", &ram, devices, NULL };
    struct manifest *manifest;
    struct device *device;
    uint8_t *data;

    ram_map_init(&ram);
    assert_int_equal(ram_map_add(&ram, &block, NULL), 0);
    device = device_add(devices, &zoo_desc, zoo, NULL, 0, 7, NULL);
    assert_int_equal(device_set_model(device, &model, NULL), 0);
    assert_non_null(device_add_legacy(devices, "slirp", 0, &legacy, NULL, NULL));
    manifest = manifest_build(&of, NULL);
    assert_non_null(manifest);
    data = manifest_encode(manifest, bytes, NULL);
    assert_non_null(data);
    manifest_free(manifest);
    ram_map_clear(&ram);
    device_list_free(devices);
    zoo_free(zoo);
    return data;
}

static void what_is_decoded_is_what_was_encoded(void **state)
{
    size_t bytes, again_bytes;
    uint8_t *data = good_bytes(&bytes), *again;
    struct manifest *manifest = manifest_decode(data, bytes, NULL);

    assert_non_null(manifest);
    assert_string_equal(manifest->machine, "pc");
    assert_int_equal(manifest->devices->alias_id, 7);
    assert_string_equal(manifest->devices->settings->value, "4");
    assert_int_equal(manifest->devices->next->flags, MANIFEST_DEVICE_LEGACY | MANIFEST_DEVICE_IN_USE);
    again = manifest_encode(manifest, &again_bytes, NULL);
    assert_int_equal(again_bytes, bytes);
    assert_memory_equal(again, data, bytes);
    free(again);
    free(data);
    manifest_free(manifest);
}

/* Decoding may succeed or fail, and comparing what it made must not care. */
static void swallow(const uint8_t *data, size_t bytes)
{
    struct ferry_error err = { 0 };
    struct manifest *manifest = manifest_decode(data, bytes, &err);
    struct reasons reasons = { 0 }, warnings = { 0 };
    struct manifest_choices choices = { 0 };

    if (!manifest) {
        assert_true(err.errnum < 0 && err.text[0]);
        return;
    }
    assert_int_equal(manifest_compare(manifest, manifest, false, &reasons, &warnings, &choices, NULL), 0);
    reasons_clear(&reasons);
    reasons_clear(&warnings);
    manifest_choices_clear(&choices);
    manifest_free(manifest);
}

static void every_cut_is_refused(void **state)
{
    size_t bytes;
    uint8_t *data = good_bytes(&bytes);

    for (size_t n = 0; n < bytes; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* so that a byte beyond it is noticed */
        struct manifest *manifest;

        memcpy(cut, data, n);
        manifest = manifest_decode(cut, n, NULL);
        /* Whole items may be missing at the end: that is a smaller manifest. */
        if (manifest) {
            size_t used;
            uint8_t *again = manifest_encode(manifest, &used, NULL);

            assert_int_equal(used, n);
            free(again);
        }
        manifest_free(manifest);
        free(cut);
    }
    free(data);
}

static void every_flipped_bit_is_survived(void **state)
{
    size_t bytes;
    uint8_t *data = good_bytes(&bytes);

    for (size_t bit = 0; bit < bytes * 8; bit += 3) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        swallow(data, bytes);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t at = 0; at + 4 <= bytes; at++) { /* giant lengths and counts */
        uint8_t old[4];

        memcpy(old, data + at, 4);
        memset(data + at, 0xff, 4);
        swallow(data, bytes);
        memcpy(data + at, old, 4);
    }
    free(data);
}

/* As many items of a kind as there is room for. */
static void floods_are_bounded(void **state)
{
    static const uint8_t head[] = { 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 16, 0 };
    static const uint8_t block[] = { 0, 3, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 1, 'b' };
    uint8_t *data = malloc(MANIFEST_BYTES_MAX + 1);
    struct ferry_error err = { 0 };
    size_t at = sizeof(head);

    memcpy(data, head, sizeof(head));
    assert_null(manifest_decode(data, MANIFEST_BYTES_MAX + 1, &err));
    for (int i = 0; i <= FERRY_BLOCKS_MAX; i++, at += sizeof(block)) {
        if (i == FERRY_BLOCKS_MAX)
            swallow(data, at);
        memcpy(data + at, block, sizeof(block));
    }
    assert_null(manifest_decode(data, at, &err));
    assert_non_null(strstr(err.text, "too many blocks"));
    free(data);
}

static void unknown_items_are_passed_over(void **state)
{
    static const uint8_t news[] = { 0x7f, 1, 0, 0, 0, 2, 9, 9 }, zero[] = { 0, 0, 0, 0, 0, 0 };
    size_t bytes;
    uint8_t *data = good_bytes(&bytes);
    struct manifest *manifest;

    data = realloc(data, bytes + sizeof(news));
    memcpy(data + bytes, news, sizeof(news));
    manifest = manifest_decode(data, bytes + sizeof(news), NULL);
    assert_non_null(manifest);
    manifest_free(manifest);
    memcpy(data + bytes, zero, sizeof(zero));
    assert_null(manifest_decode(data, bytes + sizeof(zero), NULL));
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_reason_is_forgotten), cmocka_unit_test(what_is_decoded_is_what_was_encoded),
        cmocka_unit_test(every_cut_is_refused),   cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(floods_are_bounded),     cmocka_unit_test(unknown_items_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
