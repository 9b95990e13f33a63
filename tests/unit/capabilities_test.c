/* SPDX-License-Identifier: BSD-3-Clause */
/* capabilities_test.c - names and bits are frozen, one to one, and can be switched where supported */
#include "capabilities.h"
#include "options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_wire_s_bits_are_frozen(void **state)
{
    static const char *const protocol[] = { "packet-v2",         "ack",        "sized-sections",
                                            "switchover-commit", "error-text", "heartbeat",
                                            "large-batch",       "postcopy",   "postcopy-resume" };
    static const char *const device[] = { "iterative", "switchover-ack", "postcopy-state", "device-parts" };
    struct ferry_capability_info info;
    unsigned i;

    for (i = 0; ferry_capabilities_query(FERRY_PROTOCOL_CAPABILITIES, i, &info); i++) {
        assert_true(i < sizeof(protocol) / sizeof(protocol[0]));
        assert_string_equal(info.name, protocol[i]);
        assert_int_equal(info.bit, UINT64_C(1) << i);
        assert_true(info.help[0]);
        assert_true(info.supported || !info.on);
    }
    assert_int_equal(i, 9);
    for (i = 0; ferry_capabilities_query(FERRY_DEVICE_CAPABILITIES, i, &info); i++) {
        assert_true(i < sizeof(device) / sizeof(device[0]));
        assert_string_equal(info.name, device[i]);
        assert_int_equal(info.bit, UINT64_C(1) << i);
        assert_true(info.supported || !info.on);
    }
    assert_int_equal(i, 4);
    assert_false(ferry_capabilities_query(FERRY_DEVICE_CAPABILITIES, ~0u, &info));
}

static void a_capability_is_offered_until_switched_off(void **state)
{
    struct ferry_options *options = ferry_options_new();
    struct ferry_error err = { 0 };
    bool on = false;

    assert_non_null(options);
    assert_int_equal(options->protocol_capabilities & CAPABILITY_SWITCHOVER_COMMIT, CAPABILITY_SWITCHOVER_COMMIT);
    assert_int_equal(ferry_capabilities_get(options, "switchover-commit", &on, &err), 0);
    assert_true(on);
    assert_int_equal(ferry_capabilities_set(options, "switchover-commit", "off", &err), 0);
    assert_int_equal(options->protocol_capabilities,
                     capabilities_default(FERRY_PROTOCOL_CAPABILITIES) & ~CAPABILITY_SWITCHOVER_COMMIT);
    assert_int_equal(ferry_capabilities_get(options, "switchover-commit", &on, &err), 0);
    assert_false(on);
    assert_int_equal(ferry_capabilities_set(options, "switchover-commit", "on", &err), 0);
    assert_int_equal(options->protocol_capabilities, capabilities_default(FERRY_PROTOCOL_CAPABILITIES));
    ferry_options_free(options);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct ferry_options *options = ferry_options_new();
    struct ferry_error err = { 0 };
    bool on = true;

    assert_non_null(options);
    assert_int_equal(ferry_capabilities_set(options, "teleport", "on", &err), -ENOENT);
    assert_string_equal(err.text, "there is no capability 'teleport'");
    assert_int_equal(ferry_capabilities_get(options, "teleport", &on, &err), -ENOENT);
    assert_int_equal(ferry_capabilities_set(options, "ack", "maybe", &err), -EINVAL);
    assert_int_equal(ferry_capabilities_set(options, "sized-sections", "on", &err), -ENOTSUP);
    assert_int_equal(ferry_capabilities_set(options, "sized-sections", "off", &err), 0);
    assert_int_equal(options->protocol_capabilities, capabilities_default(FERRY_PROTOCOL_CAPABILITIES));
    ferry_options_free(options);
}

static void bits_are_named_as_far_as_there_is_room(void **state)
{
    char text[64];

    assert_string_equal(capabilities_names(FERRY_PROTOCOL_CAPABILITIES, 0, text, sizeof(text)), "none");
    assert_string_equal(
        capabilities_names(FERRY_PROTOCOL_CAPABILITIES, CAPABILITY_HEARTBEAT | CAPABILITY_ACK, text, sizeof(text)),
        "ack, heartbeat");
    assert_string_equal(capabilities_names(FERRY_DEVICE_CAPABILITIES, UINT64_C(1) << 63 | 2, text, sizeof(text)),
                        "switchover-ack, bit 63");
    assert_string_equal(capabilities_names(FERRY_PROTOCOL_CAPABILITIES, CAPABILITY_HEARTBEAT | CAPABILITY_ACK, text, 8),
                        "ack");
    assert_true(strlen(capabilities_names(FERRY_DEVICE_CAPABILITIES, UINT64_MAX, text, sizeof(text))) < sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wire_s_bits_are_frozen),
        cmocka_unit_test(a_capability_is_offered_until_switched_off),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(bits_are_named_as_far_as_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
