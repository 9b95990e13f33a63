/* SPDX-License-Identifier: BSD-3-Clause */
/* manifest_test.c - two guests are compared before the first page: all that differs is said at once, or nothing */
#include "manifest.h"

#include "bytes.h"
#include "state_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

struct nic {
    uint32_t status;
    uint16_t queues;
    uint32_t rss;
    bool rss_on;
};

static bool rss_needed(void *opaque)
{
    return ((struct nic *)opaque)->rss_on;
}

static const struct ferry_field rss_fields[] = { FERRY_U32(rss, struct nic), FERRY_END };
static const struct ferry_state_desc rss_desc = {
    .name = "nic/rss", .version_id = 1, .minimum_version_id = 1, .fields = rss_fields, .hooks = { .needed = rss_needed }
};
static const struct ferry_state_desc *const nic_subsections[] = { &rss_desc, NULL };
static const struct ferry_field nic_fields[] = {
    FERRY_U32(status, struct nic),
    FERRY_U16_V(queues, struct nic, 2),
    FERRY_END,
};
static const struct ferry_state_desc nic_v3 = { .name = "nic",
                                                .version_id = 3,
                                                .minimum_version_id = 1,
                                                .size = sizeof(struct nic),
                                                .fields = nic_fields,
                                                .subsections = nic_subsections };
static const struct ferry_state_desc nic_v2 = {
    .name = "nic", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct nic), .fields = nic_fields
};
struct wide_nic {
    uint32_t status[2];
    uint32_t queues, more, most;
};
static const struct ferry_field wide_fields[] = {
    FERRY_ARRAY(status, struct wide_nic, 2, U32),
    FERRY_U32(queues, struct wide_nic),
    FERRY_U32(more, struct wide_nic),
    FERRY_U32(most, struct wide_nic),
    FERRY_END,
};
static const struct ferry_state_desc wide_v2 = {
    .name = "nic", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct wide_nic), .fields = wide_fields
};
static bool never(void *opaque)
{
    return false;
}
static const struct ferry_state_desc rare_desc = {
    .name = "rare", .version_id = 1, .size = sizeof(struct nic), .fields = rss_fields, .hooks = { .needed = never }
};
static const struct ferry_state_desc plain_desc = {
    .name = "rare", .version_id = 1, .size = sizeof(struct nic), .fields = rss_fields
};

static void no_save(struct ferry_writer *writer, void *opaque)
{
}
static int no_load(struct ferry_reader *reader, void *opaque, int version, struct ferry_error *err)
{
    return 0;
}
static const struct ferry_legacy_ops legacy = { 4, 2, no_save, no_load };

/* A guest, as far as a manifest sees it. */
struct machine {
    struct ram_map ram;
    struct device_list *devices;
    struct nic nic;
    enum manifest_side side;
    struct ferry_profile *profile;
};

static void machine_init(struct machine *m, enum manifest_side side)
{
    *m = (struct machine){ .side = side, .devices = device_list_new() };
    ram_map_init(&m->ram);
    assert_non_null(m->devices);
}

static void machine_clear(struct machine *m)
{
    ram_map_clear(&m->ram);
    device_list_free(m->devices);
}

static void add_block(struct machine *m, const char *name, uint64_t length, uint32_t page_size)
{
    struct ferry_block block = {
        .name = name,
        .host = (void *)(uintptr_t)((m->ram.count + 1) * UINT64_C(0x100000000)),
        .length = length,
        .page_size = page_size,
        .flags = FERRY_BLOCK_PRIVATE,
    };

    assert_int_equal(ram_map_add(&m->ram, &block, NULL), 0);
}

static struct device *add_device(struct machine *m, const struct ferry_state_desc *desc, const char *idstr)
{
    struct device *device = device_add(m->devices, desc, &m->nic, idstr, 0, DEVICE_NO_ALIAS, NULL);

    assert_non_null(device);
    return device;
}

static struct manifest *machine_manifest(struct machine *m)
{
    struct manifest_of of = {
        .side = m->side, .machine = "pc", .ram = &m->ram, .devices = m->devices, .profile = m->profile
    };
    struct manifest *manifest = manifest_build(&of, NULL);

    assert_non_null(manifest);
    return manifest;
}

static struct manifest *across(struct manifest *manifest)
{
    size_t bytes;
    uint8_t *data = manifest_encode(manifest, &bytes, NULL);
    struct manifest *there;

    assert_non_null(data);
    there = manifest_decode(data, bytes, NULL);
    assert_non_null(there);
    free(data);
    manifest_free(manifest);
    return there;
}

struct verdict {
    struct reasons reasons, warnings;
    struct manifest_choices choices;
};

static void compare(struct machine *here, struct machine *there, bool provides, struct verdict *v)
{
    struct manifest *local = machine_manifest(here), *remote = across(machine_manifest(there));

    *v = (struct verdict){ 0 };
    assert_int_equal(manifest_compare(local, remote, provides, &v->reasons, &v->warnings, &v->choices, NULL), 0);
    manifest_free(local);
    manifest_free(remote);
}

static void verdict_clear(struct verdict *v)
{
    reasons_clear(&v->reasons);
    reasons_clear(&v->warnings);
    manifest_choices_clear(&v->choices);
}

static void both_init(struct machine *source, struct machine *destination)
{
    machine_init(source, MANIFEST_SOURCE);
    machine_init(destination, MANIFEST_DESTINATION);
}

static void equal_guests_fit(void **state)
{
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    for (int i = 0; i < 2; i++) {
        struct machine *m = i ? &source : &destination;

        add_block(m, "ram", 8 * MIB, 4096);
        add_device(m, &nic_v3, "0000:00:02.0/nic");
        assert_non_null(device_add_legacy(m->devices, "slirp", 0, &legacy, NULL, NULL));
        m->nic.rss_on = i;
    }
    compare(&destination, &source, false, &v);
    assert_int_equal(v.reasons.count, 0);
    assert_int_equal(v.warnings.count, 0);
    assert_int_equal(v.choices.count, 0);
    assert_int_equal(reasons_error(&v.reasons, NULL), 0);
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void six_reasons_at_once(void **state)
{
    static const struct ferry_setting four[] = { { "queues", "4" }, { NULL, NULL } };
    static const struct ferry_setting two[] = { { "queues", "2" }, { NULL, NULL } };
    static const struct ferry_model with_four = { "https://example.org/nic", four };
    static const struct ferry_model with_two = { "https://example.org/nic", two };
    static const char *const expected[] = {
        "block 'ram': backed with pages of 4096 bytes at the source, of 2097152 here",
        "block 'rom': 2097152 bytes at the source, missing here",
        "block 'vram': 16777216 bytes at the source, 8388608 here",
        "device 'eth0' 0: version 3 at the source, which is too new: 1 to 2 can be loaded here",
        "device 'audio' 0: not known here",
        "device 'eth1' 0: 'queues' is '4' at the source, '2' here",
    };
    struct machine source, destination;
    struct ferry_error err = { 0 };
    struct verdict v;

    both_init(&source, &destination);
    add_block(&source, "ram", 32 * MIB, 4096);
    add_block(&source, "rom", 2 * MIB, 4096);
    add_block(&source, "vram", 16 * MIB, 4096);
    add_block(&destination, "ram", 32 * MIB, 2 << 20);
    add_block(&destination, "vram", 8 * MIB, 4096);
    add_device(&source, &nic_v3, "eth0");
    add_device(&destination, &nic_v2, "eth0");
    add_device(&source, &plain_desc, "audio");
    assert_int_equal(device_set_model(add_device(&source, &nic_v2, "eth1"), &with_four, NULL), 0);
    assert_int_equal(device_set_model(add_device(&destination, &nic_v2, "eth1"), &with_two, NULL), 0);
    compare(&destination, &source, false, &v);
    assert_int_equal(v.reasons.count, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_string_equal(v.reasons.rows[i].text, expected[i]);
    assert_int_equal(reasons_error(&v.reasons, &err), -EINVAL);
    assert_int_equal(err.code, FERRY_E_REFUSED);
    assert_non_null(strstr(err.text, expected[0]));
    verdict_clear(&v);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 5);
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void what_the_source_lacks_is_a_reason(void **state)
{
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    add_block(&destination, "extra", MIB, 4096);
    add_device(&destination, &plain_desc, "audio");
    add_device(&destination, &rare_desc, "rare"); /* which need not come */
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 2);
    assert_string_equal(v.reasons.rows[0].text, "block 'extra': 1048576 bytes here, missing at the source");
    assert_string_equal(v.reasons.rows[1].text, "device 'audio' 0: here, but not at the source");
    assert_int_equal(v.reasons.rows[1].code, FERRY_E_DEVICE_MISSING);
    verdict_clear(&v);
    /* It is at the source, too, but only sent when it is needed. */
    add_block(&source, "extra", MIB, 4096);
    add_device(&source, &rare_desc, "audio");
    compare(&destination, &source, true, &v);
    assert_non_null(strstr(v.reasons.rows[0].text, "'audio'"));
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void instances_are_found_by_their_alias_too(void **state)
{
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    assert_non_null(device_add(destination.devices, &nic_v2, &destination.nic, NULL, 5, 1, NULL));
    assert_non_null(device_add(source.devices, &nic_v2, &source.nic, NULL, 1, DEVICE_NO_ALIAS, NULL));
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 0);
    verdict_clear(&v);
    assert_non_null(device_add(source.devices, &nic_v2, &source.nic, NULL, 5, DEVICE_NO_ALIAS, NULL));
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 1);
    assert_string_equal(v.reasons.rows[0].text, "device 'nic' 5: the source has it 2 times");
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void fields_that_differ_are_named(void **state)
{
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    add_device(&source, &nic_v2, NULL);
    add_device(&destination, &wide_v2, NULL);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 4);
    assert_string_equal(v.reasons.rows[0].text,
                        "device 'nic' 0: field 'status[]': uint32 at the source, uint32 x 2 here");
    assert_string_equal(v.reasons.rows[3].text, "device 'nic' 0: fields: and 1 more");
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void what_is_not_in_use_is_a_warning(void **state)
{
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    add_device(&source, &rare_desc, NULL);
    add_device(&source, &nic_v3, NULL);
    add_device(&destination, &nic_v3, NULL);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 0);
    assert_int_equal(v.warnings.count, 1);
    assert_string_equal(v.warnings.rows[0].text,
                        "device 'rare' 0: not known here; refused if the source comes to need it");
    verdict_clear(&v);
    machine_clear(&destination);

    /* A subsection: as long as it is not needed, its being unknown is no reason. */
    for (int on = 0; on < 2; on++) {
        static const struct ferry_state_desc without = {
            .name = "nic", .version_id = 3, .minimum_version_id = 1, .size = sizeof(struct nic), .fields = nic_fields
        };

        machine_init(&destination, MANIFEST_DESTINATION);
        add_device(&destination, &without, NULL);
        source.nic.rss_on = on;
        compare(&destination, &source, true, &v);
        assert_int_equal(v.reasons.count, on);
        assert_int_equal(v.warnings.count, 2 - on);
        assert_non_null(strstr((on ? &v.reasons : &v.warnings)->rows[on ? 0 : 1].text,
                               "device 'nic' 0: nic/rss: this subsection is not known here"));
        verdict_clear(&v);
        machine_clear(&destination);
    }
    machine_clear(&source);
}

static void models_are_compared_byte_for_byte(void **state)
{
    static const struct ferry_setting a[] = { { "mac", "52:54" }, { "only-there", "1" }, { NULL, NULL } };
    static const struct ferry_setting b[] = { { "only-here", "" }, { "mac", "52:54" }, { NULL, NULL } };
    static const struct ferry_model there = { "https://example.org/nic", a }, here = { "https://example.org/nic", b };
    static const struct ferry_model other = { "https://Example.org/nic", a };
    struct machine source, destination;
    struct device *device;
    struct verdict v;

    both_init(&source, &destination);
    device = add_device(&source, &nic_v2, NULL);
    assert_int_equal(device_set_model(device, &there, NULL), 0);
    assert_int_equal(device_set_model(add_device(&destination, &nic_v2, NULL), &here, NULL), 0);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 2);
    assert_string_equal(v.reasons.rows[0].text, "device 'nic' 0: 'only-there' is '1' at the source, not set here");
    assert_string_equal(v.reasons.rows[1].text, "device 'nic' 0: 'only-here' is not set at the source, '' here");
    verdict_clear(&v);
    assert_int_equal(device_set_model(device, &other, NULL), 0);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 1);
    assert_string_equal(
        v.reasons.rows[0].text,
        "device 'nic' 0: model 'https://Example.org/nic' at the source, 'https://example.org/nic' here");
    assert_int_equal(v.reasons.rows[0].code, FERRY_E_DEVICE_CONFIGURATION);
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void models_that_cannot_be_are_refused(void **state)
{
    static const struct ferry_setting twice[] = { { "a", "1" }, { "a", "2" }, { NULL, NULL } };
    static const struct ferry_setting unset[] = { { "a", NULL }, { NULL, NULL } };
    static const struct ferry_model bad[] = { { NULL, NULL }, { "", NULL }, { "x", twice }, { "x", unset } };
    struct machine m;
    struct device *device;

    machine_init(&m, MANIFEST_SOURCE);
    device = add_device(&m, &nic_v2, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(device_set_model(device, &bad[i], NULL), -EINVAL);
    assert_string_equal(device_model_id(device), "nic");
    assert_null(ferry_model_id_lint("https://example.org/nic"));
    assert_null(ferry_model_id_lint("pci://8086/1004"));
    assert_non_null(ferry_model_id_lint("https://"));
    assert_non_null(ferry_model_id_lint("nic"));
    assert_non_null(ferry_model_id_lint("gopher://x"));
    assert_non_null(ferry_model_id_lint("https://example.org/a nic"));
    machine_clear(&m);
}

/* ---- converters make versions fit ----------------------------------------------------------------------------------
 */

static const struct ferry_field v1_fields[] = { FERRY_U16(queues, struct nic), FERRY_END };
static const struct ferry_state_desc disk_v1 = {
    .name = "disk", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct nic), .fields = v1_fields
};
static const struct ferry_state_desc disk_v2 = {
    .name = "disk", .version_id = 2, .minimum_version_id = 2, .size = sizeof(struct nic), .fields = nic_fields
};
static int any(struct ferry_values *values, struct ferry_error *err)
{
    return 0;
}
static const struct ferry_converter to_and_from_v1 = { &disk_v1, any, any };

static void a_converter_at_the_source_is_chosen(void **state)
{
    struct machine source, destination;
    uint8_t *agreed;
    size_t bytes;
    struct verdict v;

    both_init(&source, &destination);
    add_device(&source, &nic_v2, NULL);
    add_device(&source, &disk_v2, NULL);
    add_device(&destination, &disk_v1, NULL);
    add_device(&destination, &nic_v2, NULL);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 1);
    assert_string_equal(v.reasons.rows[0].text,
                        "device 'disk' 0: version 2 at the source, which is too new: 1 to 1 can be loaded here");
    verdict_clear(&v);
    assert_int_equal(device_list_add_converter(source.devices, &to_and_from_v1, NULL), 0);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 0);
    assert_int_equal(v.choices.count, 1);
    agreed = manifest_choices_encode(&v.choices, 4096, &bytes, NULL);
    assert_non_null(agreed);
    assert_int_equal(manifest_take_choices(agreed, bytes, source.devices, NULL, NULL), 0);
    assert_int_equal(device_version(device_find(source.devices, "disk", 0), NULL), 1);
    assert_int_equal(manifest_take_choices(agreed, bytes - 1, source.devices, NULL, NULL), -EPROTO);
    assert_int_equal(device_version(device_find(source.devices, "disk", 0), NULL), 2);
    store_be32(agreed + 4, 7);
    assert_int_equal(manifest_take_choices(agreed, bytes, source.devices, NULL, NULL), -EINVAL);
    store_be32(agreed, 7);
    assert_int_equal(manifest_take_choices(agreed, bytes, source.devices, NULL, NULL), -EINVAL);
    assert_int_equal(manifest_take_choices(NULL, 0, source.devices, NULL, NULL), 0);
    assert_null(manifest_choices_encode(&v.choices, 7, &bytes, NULL));
    free(agreed);
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void a_converter_at_the_destination_needs_no_choice(void **state)
{
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    add_device(&source, &disk_v1, NULL);
    add_device(&destination, &disk_v2, NULL);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 1);
    assert_non_null(strstr(v.reasons.rows[0].text, "too old"));
    verdict_clear(&v);
    assert_int_equal(device_list_add_converter(destination.devices, &to_and_from_v1, NULL), 0);
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 0);
    assert_int_equal(v.choices.count, 0);
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

static void a_profile_says_what_is_sent(void **state)
{
    static const struct ferry_profile_version versions[] = { { "nic", 2 }, { NULL, 0 } };
    struct ferry_profile older = { .name = "older", .versions = versions };
    struct machine source, destination;
    struct verdict v;

    both_init(&source, &destination);
    add_device(&source, &nic_v3, NULL);
    add_device(&destination, &nic_v2, NULL);
    source.profile = &older;
    compare(&destination, &source, true, &v);
    assert_int_equal(v.reasons.count, 0);
    verdict_clear(&v);
    machine_clear(&source);
    machine_clear(&destination);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_guests_fit),
        cmocka_unit_test(six_reasons_at_once),
        cmocka_unit_test(what_the_source_lacks_is_a_reason),
        cmocka_unit_test(instances_are_found_by_their_alias_too),
        cmocka_unit_test(fields_that_differ_are_named),
        cmocka_unit_test(what_is_not_in_use_is_a_warning),
        cmocka_unit_test(models_are_compared_byte_for_byte),
        cmocka_unit_test(models_that_cannot_be_are_refused),
        cmocka_unit_test(a_converter_at_the_source_is_chosen),
        cmocka_unit_test(a_converter_at_the_destination_needs_no_choice),
        cmocka_unit_test(a_profile_says_what_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
