/* SPDX-License-Identifier: BSD-3-Clause */
/* state_vmdesc_test.c - the self-description has QEMU's shape, and its sizes add up to what is on the wire */
#include "json.h"
#include "state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The rule by which somebody who knows no device finds the end of a body. */
static size_t body_bytes(const json_t *description)
{
    size_t bytes = 0, i;
    json_t *entry;

    json_array_foreach (json_object_get(description, "fields"), i, entry) {
        json_t *length = json_object_get(entry, "array_len");

        bytes += (size_t)json_integer_value(json_object_get(entry, "size")) *
                 (length ? (size_t)json_integer_value(length) : 1);
    }
    json_array_foreach (json_object_get(description, "subsections"), i, entry)
        bytes += 6 + strlen(json_string_value(json_object_get(entry, "vmsd_name"))) + body_bytes(entry);
    return bytes;
}

static void assert_describes(const struct ferry_state_desc *desc, void *device, const char *expected)
{
    json_t *vmdesc = json_object();
    struct fixture_bytes bytes;
    char *text;

    assert_int_equal(fixture_save(desc, device, NULL, vmdesc, &bytes, NULL), 0);
    text = json_dumps(vmdesc, 0);
    if (expected)
        assert_string_equal(text, expected);
    assert_int_equal(body_bytes(vmdesc), bytes.count);
    free(text);
    json_decref(vmdesc);
}

static void sizes_add_up(void **state)
{
    for (unsigned n = 0; n < 4; n++) {
        struct zoo *zoo = zoo_new(n);

        assert_describes(&zoo_desc, zoo, NULL);
        zoo_free(zoo);
    }
}

static void describing_changes_no_byte(void **state)
{
    struct zoo *zoo = zoo_new(3);
    json_t *vmdesc = json_object();
    struct fixture_bytes with, without;

    assert_int_equal(fixture_save(&zoo_desc, zoo, NULL, vmdesc, &with, NULL), 0);
    assert_int_equal(fixture_save(&zoo_desc, zoo, NULL, NULL, &without, NULL), 0);
    assert_int_equal(with.count, without.count);
    assert_memory_equal(with.data, without.data, with.count);
    json_decref(vmdesc);
    zoo_free(zoo);
}

struct seg {
    uint32_t selector;
    uint64_t base;
};

struct tmp;

struct cpu {
    uint64_t regs[16];
    struct seg segs[2];
    struct seg tr;
    uint32_t picky;
    uint32_t khz;
    uint32_t *some[5];
    struct {
        uint64_t mantissa;
    } fp;
};

struct fp_tmp {
    struct cpu *parent;
    uint16_t exponent;
};

static bool always(void *opaque, int version)
{
    return true;
}

static const struct ferry_field seg_fields[] = {
    FERRY_U32(selector, struct seg),
    FERRY_U64(base, struct seg),
    FERRY_END,
};
static const struct ferry_state_desc seg_desc = {
    .name = "segment", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct seg), .fields = seg_fields
};
static const struct ferry_field picky_fields[] = {
    FERRY_U32(selector, struct seg),
    FERRY_U64_TEST(base, struct seg, always),
    FERRY_END,
};
static const struct ferry_state_desc picky_desc = {
    .name = "picky", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct seg), .fields = picky_fields
};
static const struct ferry_field tmp_fields[] = {
    FERRY_U16(exponent, struct fp_tmp),
    FERRY_END,
};
static const struct ferry_state_desc tmp_desc = { .name = "fpreg_tmp",
                                                  .size = sizeof(struct fp_tmp),
                                                  .fields = tmp_fields };

static void simple_fields_and_gaps(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_UNUSED(8), FERRY_U64(regs[2], struct cpu),        FERRY_U32_EQUAL(khz, struct cpu),
        FERRY_UNUSED(2), FERRY_BUFFER_UNSAFE(regs, struct cpu), FERRY_END,
    };
    static const struct ferry_state_desc desc = {
        .name = "cpu", .version_id = 12, .minimum_version_id = 1, .size = sizeof(struct cpu), .fields = fields
    };
    struct cpu cpu = { 0 };

    assert_describes(&desc, &cpu,
                     "{\"vmsd_name\": \"cpu\", \"version\": 12, \"fields\": ["
                     "{\"name\": \"unused[0]\", \"type\": \"unused_buffer\", \"size\": 8}, "
                     "{\"name\": \"regs[2]\", \"type\": \"uint64\", \"size\": 8}, "
                     "{\"name\": \"khz\", \"type\": \"uint32 equal\", \"size\": 4}, "
                     "{\"name\": \"unused[1]\", \"type\": \"unused_buffer\", \"size\": 2}, "
                     "{\"name\": \"regs\", \"type\": \"buffer\", \"size\": 128}]}");
}

static void arrays_of_one_shape_are_described_once(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_ARRAY(regs, struct cpu, 16, U64),
        FERRY_STRUCT_ARRAY(segs, struct cpu, 2, seg_desc, struct seg),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "cpu", .size = sizeof(struct cpu), .fields = fields };
    struct cpu cpu = { 0 };

    assert_describes(&desc, &cpu,
                     "{\"vmsd_name\": \"cpu\", \"version\": 0, \"fields\": ["
                     "{\"name\": \"regs\", \"array_len\": 16, \"type\": \"uint64\", \"size\": 8}, "
                     "{\"name\": \"segs\", \"array_len\": 2, \"type\": \"struct\", \"struct\": "
                     "{\"vmsd_name\": \"segment\", \"version\": 1, \"fields\": ["
                     "{\"name\": \"selector\", \"type\": \"uint32\", \"size\": 4}, "
                     "{\"name\": \"base\", \"type\": \"uint64\", \"size\": 8}]}, \"size\": 12}]}");
}

static void elements_that_may_differ_have_an_index(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_STRUCT_ARRAY(segs, struct cpu, 2, picky_desc, struct seg),
        FERRY_STRUCT(tr, struct cpu, picky_desc, struct seg),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "cpu", .size = sizeof(struct cpu), .fields = fields };
    struct cpu cpu = { 0 };

#define PICKY                                                                                    \
    "\"type\": \"struct\", \"struct\": {\"vmsd_name\": \"picky\", \"version\": 1, \"fields\": [" \
    "{\"name\": \"selector\", \"type\": \"uint32\", \"size\": 4}, "                              \
    "{\"name\": \"base\", \"type\": \"uint64\", \"size\": 8}]}, \"size\": 12}"
    assert_describes(&desc, &cpu,
                     "{\"vmsd_name\": \"cpu\", \"version\": 0, \"fields\": ["
                     "{\"name\": \"segs\", \"index\": 0, " PICKY ", {\"name\": \"segs\", \"index\": 1, " PICKY
                     ", {\"name\": \"tr\", " PICKY "]}");
}

static void runs_of_null_are_described_apart(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_ARRAY_OF_POINTERS(some, struct cpu, 5, U32),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "cpu", .size = sizeof(struct cpu), .fields = fields };
    uint32_t value = 1;
    struct cpu cpu = { .some = { &value, &value, NULL, NULL, &value } };

    assert_describes(&desc, &cpu,
                     "{\"vmsd_name\": \"cpu\", \"version\": 0, \"fields\": ["
                     "{\"name\": \"some\", \"array_len\": 2, \"type\": \"uint32\", \"size\": 4}, "
                     "{\"name\": \"some\", \"array_len\": 2, \"type\": \"nullptr\", \"size\": 1}, "
                     "{\"name\": \"some\", \"type\": \"uint32\", \"size\": 4}]}");
}

static void a_temporary_is_described_in_place(void **state)
{
    static const struct ferry_field fields[] = {
        FERRY_TMP(struct cpu, tmp_desc, struct fp_tmp),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = { .name = "fpreg", .size = sizeof(struct cpu), .fields = fields };
    struct cpu cpu = { 0 };

    assert_describes(&desc, &cpu,
                     "{\"vmsd_name\": \"fpreg\", \"version\": 0, \"fields\": ["
                     "{\"name\": \"tmp\", \"type\": \"tmp\", \"vmsd_name\": \"fpreg_tmp\", \"version\": 0, "
                     "\"fields\": [{\"name\": \"exponent\", \"type\": \"uint16\", \"size\": 2}], \"size\": 2}]}");
}

static void subsections_are_described_where_they_are(void **state)
{
    static const struct ferry_field khz_fields[] = {
        FERRY_U32(khz, struct cpu),
        FERRY_END,
    };
    static const struct ferry_state_desc khz_desc = {
        .name = "cpu/tsc_khz", .version_id = 1, .minimum_version_id = 1, .fields = khz_fields
    };
    static const struct ferry_state_desc *const subsections[] = { &khz_desc, NULL };
    static const struct ferry_field fields[] = {
        FERRY_U32(picky, struct cpu),
        FERRY_END,
    };
    static const struct ferry_state_desc desc = {
        .name = "cpu", .size = sizeof(struct cpu), .fields = fields, .subsections = subsections
    };
    struct cpu cpu = { 0 };

    assert_describes(&desc, &cpu,
                     "{\"vmsd_name\": \"cpu\", \"version\": 0, \"fields\": ["
                     "{\"name\": \"picky\", \"type\": \"uint32\", \"size\": 4}], \"subsections\": ["
                     "{\"vmsd_name\": \"cpu/tsc_khz\", \"version\": 1, \"fields\": ["
                     "{\"name\": \"khz\", \"type\": \"uint32\", \"size\": 4}]}]}");
}

static void a_document_is_one_line(void **state)
{
    json_t *devices = json_array(), *configuration = vmdesc_configuration("pc-i440fx-10.0", NULL), *device;
    char *text;
    size_t bytes;

    device = vmdesc_device("slirp", 3, NULL);
    assert_int_equal(vmdesc_legacy(device, 20, NULL), 0);
    assert_int_equal(body_bytes(device), 20);
    json_array_append_new(devices, device);
    text = vmdesc_document(4096, configuration, devices, &bytes, NULL);
#define DEVICES                                                                                                \
    "\"page_size\": 4096, \"devices\": [{\"name\": \"slirp\", \"instance_id\": 3, \"size\": 20, \"fields\": [" \
    "{\"name\": \"data\", \"size\": 20, \"type\": \"buffer\"}]}]}"
    assert_int_equal(bytes,
                     strlen("{\"configuration\": {\"vmsd_name\": \"configuration\", \"version\": 1, \"fields\": ["
                            "{\"name\": \"len\", \"type\": \"uint32\", \"size\": 4}, "
                            "{\"name\": \"name\", \"type\": \"buffer\", \"size\": 14}]}, " DEVICES));
    assert_memory_equal(text,
                        "{\"configuration\": {\"vmsd_name\": \"configuration\", \"version\": 1, \"fields\": ["
                        "{\"name\": \"len\", \"type\": \"uint32\", \"size\": 4}, "
                        "{\"name\": \"name\", \"type\": \"buffer\", \"size\": 14}]}, " DEVICES,
                        bytes);
    free(text);
    text = vmdesc_document(4096, NULL, devices, &bytes, NULL);
    assert_int_equal(bytes, strlen("{" DEVICES));
    assert_memory_equal(text, "{" DEVICES, bytes);
    free(text);
    json_decref(configuration);
    json_decref(devices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_add_up),
        cmocka_unit_test(describing_changes_no_byte),
        cmocka_unit_test(simple_fields_and_gaps),
        cmocka_unit_test(arrays_of_one_shape_are_described_once),
        cmocka_unit_test(elements_that_may_differ_have_an_index),
        cmocka_unit_test(runs_of_null_are_described_apart),
        cmocka_unit_test(a_temporary_is_described_in_place),
        cmocka_unit_test(subsections_are_described_where_they_are),
        cmocka_unit_test(a_document_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
