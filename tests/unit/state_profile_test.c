/* SPDX-License-Identifier: BSD-3-Clause */
/* state_profile_test.c - how state stays compatible: what only sometimes must travel, and what an old destination lacks
 *
 * The three worked examples of docs/embedding.md.
 */
#include "profile.h"
#include "state_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- 1: state that matters only in the middle of something ------------------------------------------------------- */

/* A disk's programmed I/O: between the first and the last word of a transfer there is a buffer; otherwise there is
 * none, and nothing of it is sent. */
#define IDE_DRQ 0x08

struct ide {
    uint8_t status;
    uint32_t pio_at; /* next word in the buffer */
    uint32_t pio_end;
    uint8_t pio_buffer[32];
};

static bool ide_pio_needed(void *opaque)
{
    return ((struct ide *)opaque)->status & IDE_DRQ;
}

static int ide_pio_check(const void *copy, int version, struct ferry_error *err)
{
    const struct ide *ide = copy;

    if (ide->pio_at > ide->pio_end || ide->pio_end > sizeof(ide->pio_buffer))
        return ferry_error_set(err, -EINVAL, "transfer at %u of %u, in a buffer of %zu", ide->pio_at, ide->pio_end,
                               sizeof(ide->pio_buffer));
    return 0;
}

static const struct ferry_field ide_pio_fields[] = {
    FERRY_U32(pio_at, struct ide),
    FERRY_U32(pio_end, struct ide),
    FERRY_BUFFER(pio_buffer, struct ide),
    FERRY_END,
};
static const struct ferry_state_desc ide_pio_desc = {
    .name = "ide/pio_state",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = ide_pio_fields,
    .hooks = { .needed = ide_pio_needed, .check = ide_pio_check },
};
static const struct ferry_state_desc *const ide_subsections[] = { &ide_pio_desc, NULL };
static const struct ferry_field ide_fields[] = {
    FERRY_U8(status, struct ide),
    FERRY_END,
};
static const struct ferry_state_desc ide_desc = {
    .name = "ide",
    .version_id = 3,
    .minimum_version_id = 3,
    .size = sizeof(struct ide),
    .fields = ide_fields,
    .subsections = ide_subsections,
};

static void a_transfer_in_flight_travels_and_nothing_else(void **state)
{
    struct ide idle = { .status = 0x40, .pio_at = 3, .pio_end = 9 };
    struct ide busy = { .status = 0x48, .pio_at = 4, .pio_end = 32, .pio_buffer = "half of a sector" }, loaded = { 0 };
    struct fixture_bytes bytes;
    struct ferry_error err = { 0 };

    fixture_assert_bytes(&ide_desc, &idle, "40");
    assert_int_equal(fixture_save(&ide_desc, &busy, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes.count, 1 + 2 + 13 + 4 + 40);
    assert_int_equal(fixture_load(&ide_desc, &loaded, 3, bytes.data, bytes.count, NULL), 0);
    assert_memory_equal(&loaded, &busy, sizeof(busy));
    busy.pio_end = 33;
    assert_int_equal(fixture_save(&ide_desc, &busy, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(fixture_load(&ide_desc, &loaded, 3, bytes.data, bytes.count, &err), -EINVAL);
    assert_non_null(strstr(err.text, "ide/pio_state: transfer at 4 of 33, in a buffer of 32"));
    assert_int_equal(loaded.pio_end, 32);
}

/* ---- 2: a property decides ----------------------------------------------------------------------------------------
 */

struct nic {
    uint32_t irqs;
    bool mitigation; /* (a) the property: on in this release, unknown to the last */
    uint32_t delay;
};

/* (c) */
static bool nic_mitigates(void *opaque)
{
    return ((struct nic *)opaque)->mitigation;
}

/* (e) */
static int nic_pre_load(void *copy, struct ferry_error *err)
{
    ((struct nic *)copy)->delay = 250;
    return 0;
}

/* (d) */
static const struct ferry_field nic_delay_fields[] = {
    FERRY_U32(delay, struct nic),
    FERRY_END,
};
static const struct ferry_state_desc nic_delay_desc = {
    .name = "nic/delay",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = nic_delay_fields,
    .hooks = { .needed = nic_mitigates },
};
static const struct ferry_state_desc *const nic_subsections[] = { &nic_delay_desc, NULL };
static const struct ferry_property nic_properties[] = {
    FERRY_PROPERTY("mitigation", mitigation, struct nic, BOOL),
    FERRY_PROPERTY("irqs", irqs, struct nic, U32),
    FERRY_PROPERTY_END,
};
static const struct ferry_field nic_fields[] = {
    FERRY_U32(irqs, struct nic),
    FERRY_END,
};
static const struct ferry_state_desc nic_desc = {
    .name = "nic",
    .size = sizeof(struct nic),
    .fields = nic_fields,
    .subsections = nic_subsections,
    .hooks = { .pre_load = nic_pre_load },
    .properties = nic_properties,
};

/* (b) */
static const struct ferry_profile_value last_values[] = {
    { "nic", "mitigation", "off" },
    { "disk", "whatever", "1" }, /* another device's */
    { NULL },
};
static const struct ferry_profile_version last_versions[] = {
    { "dated", 1 },
    { NULL },
};
static const struct ferry_profile last = { .name = "last", .values = last_values, .versions = last_versions };

static void a_profile_leaves_out_what_the_last_release_lacks(void **state)
{
    struct nic ours = { .irqs = 4, .mitigation = true, .delay = 7 }, theirs = ours;
    struct nic loaded = { .mitigation = true, .delay = 99 };
    struct fixture_bytes bytes;

    fixture_assert_bytes(&nic_desc, &ours, "00000004 05 09 6e69632f64656c6179 00000001 00000007");
    assert_int_equal(ferry_profile_apply(&last, &nic_desc, &theirs, NULL), 0);
    assert_false(theirs.mitigation);
    fixture_assert_bytes(&nic_desc, &theirs, "00000004");
    /* And what the last release sends loads with the default. */
    fixture_from_hex("00000005", &bytes);
    assert_int_equal(fixture_load(&nic_desc, &loaded, 0, bytes.data, bytes.count, NULL), 0);
    assert_int_equal(loaded.irqs, 5);
    assert_int_equal(loaded.delay, 250);
    assert_true(loaded.mitigation);
}

static void a_profile_that_does_not_fit_changes_nothing(void **state)
{
    static const struct {
        const char *property, *value;
    } bad[] = { { "irqs", "4294967296" }, { "irqs", "-1" }, { "irqs", "5x" },     { "irqs", "" },
                { "irqs", "on" },         { "nope", "1" },  { "mitigation", "1" } };
    struct nic nic = { .irqs = 3 };
    struct ferry_error err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct ferry_profile_value values[] = { { "nic", "mitigation", "on" },
                                                      { "nic", bad[i].property, bad[i].value },
                                                      { NULL } };
        const struct ferry_profile profile = { .name = "bad", .values = values };

        assert_int_equal(ferry_profile_apply(&profile, &nic_desc, &nic, &err), -EINVAL);
        assert_non_null(strstr(err.text, bad[i].property));
        assert_false(nic.mitigation);
        assert_int_equal(nic.irqs, 3);
    }
    assert_int_equal(ferry_profile_apply(NULL, &nic_desc, &nic, NULL), 0);
}

/* ---- 3: a value that is hardly ever other than its default ---------------------------------------------------------
 */

struct rtl {
    uint16_t command;
    bool mmio; /* on, unless the guest wrote a rarely written register */
};

static bool rtl_mmio_needed(void *opaque)
{
    return !((struct rtl *)opaque)->mmio;
}

static int rtl_pre_load(void *copy, struct ferry_error *err)
{
    ((struct rtl *)copy)->mmio = true;
    return 0;
}

static const struct ferry_field rtl_mmio_fields[] = {
    FERRY_BOOL(mmio, struct rtl),
    FERRY_END,
};
static const struct ferry_state_desc rtl_mmio_desc = { .name = "rtl/mmio",
                                                       .version_id = 1,
                                                       .minimum_version_id = 1,
                                                       .fields = rtl_mmio_fields,
                                                       .hooks = { .needed = rtl_mmio_needed } };
static const struct ferry_state_desc *const rtl_subsections[] = { &rtl_mmio_desc, NULL };
static const struct ferry_field rtl_fields[] = {
    FERRY_U16(command, struct rtl),
    FERRY_END,
};
static const struct ferry_state_desc rtl_desc = {
    .name = "rtl",
    .size = sizeof(struct rtl),
    .fields = rtl_fields,
    .subsections = rtl_subsections,
    .hooks = { .pre_load = rtl_pre_load },
};

static void a_default_does_not_travel(void **state)
{
    struct rtl usual = { .command = 1, .mmio = true }, rare = { .command = 1 }, loaded = { 0 };
    struct fixture_bytes bytes;

    fixture_assert_bytes(&rtl_desc, &usual, "0001");
    assert_int_equal(fixture_save(&rtl_desc, &usual, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(fixture_load(&rtl_desc, &loaded, 0, bytes.data, bytes.count, NULL), 0);
    assert_true(loaded.mmio); /* though it was off, and nothing came */
    assert_int_equal(fixture_save(&rtl_desc, &rare, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(fixture_load(&rtl_desc, &loaded, 0, bytes.data, bytes.count, NULL), 0);
    assert_false(loaded.mmio);
}

/* ---- saving as an older version ------------------------------------------------------------------------------------
 */

struct dated {
    uint8_t first;
    uint8_t second;
};

static const struct ferry_field dated_fields[] = {
    FERRY_U8(first, struct dated),
    FERRY_U8_V(second, struct dated, 2),
    FERRY_END,
};
static const struct ferry_state_desc dated_desc = {
    .name = "dated", .version_id = 2, .minimum_version_id = 1, .size = sizeof(struct dated), .fields = dated_fields
};

static void a_profile_saves_an_older_version(void **state)
{
    struct dated dated = { 1, 2 };
    struct fixture_bytes bytes;

    assert_int_equal(fixture_save(&dated_desc, &dated, NULL, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes.count, 2);
    assert_int_equal(fixture_save(&dated_desc, &dated, &last, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes.count, 1);
    assert_int_equal(profile_version(&last, &dated_desc), 1);
    assert_int_equal(profile_version(NULL, &dated_desc), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transfer_in_flight_travels_and_nothing_else),
        cmocka_unit_test(a_profile_leaves_out_what_the_last_release_lacks),
        cmocka_unit_test(a_profile_that_does_not_fit_changes_nothing),
        cmocka_unit_test(a_default_does_not_travel),
        cmocka_unit_test(a_profile_saves_an_older_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
