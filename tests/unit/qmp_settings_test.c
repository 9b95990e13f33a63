/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_settings_test.c - QEMU's parameters and capabilities reach the options they stand for, in their units */
#include "qmp_settings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct ferry_options *options;
    struct qmp_settings settings;
    bool running;
};

static int set_option(void *opaque, const char *name, const char *value, struct ferry_error *err)
{
    struct fixture *fixture = opaque;

    return ferry_options_set(fixture->options, name, value, err);
}

static bool runs(void *opaque)
{
    return ((struct fixture *)opaque)->running;
}

static int set_up(void **state)
{
    static const struct qmp_option_ops ops = { .set = set_option, .runs = runs };
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->options = ferry_options_new();
    qmp_settings_init(&fixture->settings, fixture->options, &ops, fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    ferry_options_free(fixture->options);
    free(fixture);
    return 0;
}

static int set(struct fixture *fixture, const char *text, struct ferry_error *err)
{
    json_t *arguments = json_loads(text, 0, NULL);
    int ret;

    assert_non_null(arguments);
    *err = (struct ferry_error){ 0 };
    ret = qmp_parameters_set(&fixture->settings, arguments, err);
    json_decref(arguments);
    return ret;
}

static int switch_to(struct fixture *fixture, const char *name, bool on, struct ferry_error *err)
{
    json_t *list = json_pack("[{s:s, s:b}]", "capability", name, "state", (int)on);
    int ret;

    *err = (struct ferry_error){ 0 };
    ret = qmp_capabilities_set(&fixture->settings, list, err);
    json_decref(list);
    return ret;
}

static const char *option(struct fixture *fixture, const char *name)
{
    static char value[1100];

    assert_int_equal(ferry_options_get(fixture->options, name, value, sizeof(value), NULL), 0);
    return value;
}

static json_int_t parameter(struct fixture *fixture, const char *name)
{
    json_t *all = qmp_parameters_json(&fixture->settings);
    json_int_t value;

    assert_true(json_is_integer(json_object_get(all, name)));
    value = json_integer_value(json_object_get(all, name));
    json_decref(all);
    return value;
}

static bool capability(struct fixture *fixture, const char *name)
{
    json_t *all = qmp_capabilities_json(&fixture->settings);
    const json_t *item;
    bool on = false, found = false;
    size_t i;

    json_array_foreach (all, i, item) {
        if (strcmp(json_string_value(json_object_get(item, "capability")), name))
            continue;
        found = true;
        on = json_is_true(json_object_get(item, "state"));
    }
    json_decref(all);
    assert_true(found);
    return on;
}

static void test_units(void **state)
{
    struct fixture *fixture = *state;
    struct ferry_error err;

    assert_int_equal(parameter(fixture, "max-bandwidth"), 0); /* unlimited */
    assert_int_equal(parameter(fixture, "downtime-limit"), 300);
    assert_int_equal(set(fixture, "{\"max-bandwidth\": 50000000, \"downtime-limit\": 250}", &err), 0);
    assert_string_equal(option(fixture, "max-bandwidth"), "50000000");
    assert_string_equal(option(fixture, "downtime-limit"), "250000000ns");
    assert_int_equal(parameter(fixture, "max-bandwidth"), 50000000);
    assert_int_equal(parameter(fixture, "downtime-limit"), 250);
    assert_int_equal(set(fixture, "{\"max-bandwidth\": 0}", &err), 0);
    assert_string_equal(option(fixture, "max-bandwidth"), "unlimited");
}

static void test_refused_as_a_whole(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{\"downtime-limit\": 1, \"teleport\": 1}", "Parameter 'teleport' is unexpected" },
        { "{\"downtime-limit\": 1, \"max-bandwidth\": \"fast\"}", "Parameter 'max-bandwidth' expects uint64" },
        { "{\"downtime-limit\": 1, \"max-bandwidth\": -1}", "0 to 2^63 - 1" },
        { "{\"downtime-limit\": 2000001}", "(2000 * 1000) ms" },
        { "{\"downtime-limit\": 1, \"multifd-channels\": 0}", "between 1 and 255" },
        { "{\"downtime-limit\": 1, \"multifd-zstd-level\": 21}", "between 0 and 20" },
        { "{\"downtime-limit\": 1, \"multifd-compression\": \"teleport\"}", "does not accept value 'teleport'" },
        { "{\"downtime-limit\": 1, \"tls-creds\": null}", "expected: string" },
        { "{\"downtime-limit\": 1, \"mode\": \"cpr-reboot\"}", "always \"normal\"" },
    };
    struct fixture *fixture = *state;
    struct ferry_error err;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(set(fixture, rows[i].text, &err) < 0);
        if (!strstr(err.text, rows[i].why))
            fail_msg("'%s' does not say '%s'", err.text, rows[i].why);
        assert_int_equal(parameter(fixture, "downtime-limit"), 300);
    }
}

static void test_fixed_ones_take_what_they_say(void **state)
{
    struct fixture *fixture = *state;
    struct ferry_error err;

    assert_int_equal(set(fixture, "{\"mode\": \"normal\", \"announce-step\": 100, \"direct-io\": false}", &err), 0);
}

static void test_channels(void **state)
{
    struct fixture *fixture = *state;
    struct ferry_error err;

    assert_string_equal(option(fixture, "channels"), "auto");
    assert_true(capability(fixture, "multifd"));
    assert_int_equal(parameter(fixture, "multifd-channels"), QMP_CHANNELS_DEFAULT);
    assert_int_equal(switch_to(fixture, "multifd", true, &err), 0);
    assert_string_equal(option(fixture, "channels"), "auto"); /* it is on */
    assert_int_equal(switch_to(fixture, "multifd", false, &err), 0);
    assert_string_equal(option(fixture, "channels"), "0");
    assert_int_equal(set(fixture, "{\"multifd-channels\": 7}", &err), 0);
    assert_string_equal(option(fixture, "channels"), "0"); /* remembered only */
    assert_int_equal(parameter(fixture, "multifd-channels"), 7);
    assert_int_equal(switch_to(fixture, "multifd", true, &err), 0);
    assert_string_equal(option(fixture, "channels"), "7");
    assert_int_equal(set(fixture, "{\"multifd-channels\": 3}", &err), 0);
    assert_string_equal(option(fixture, "channels"), "3");
}

static void test_levels_wait_for_their_codec(void **state)
{
    struct fixture *fixture = *state;
    struct ferry_error err;

    assert_int_equal(set(fixture, "{\"multifd-zlib-level\": 6, \"multifd-zstd-level\": 12}", &err), 0);
    assert_string_equal(option(fixture, "compress-level"), "auto");
    assert_int_equal(set(fixture, "{\"multifd-compression\": \"zstd\"}", &err), 0);
    assert_string_equal(option(fixture, "compress-level"), "12");
    assert_int_equal(set(fixture, "{\"multifd-compression\": \"zlib\"}", &err), 0);
    assert_string_equal(option(fixture, "compress-level"), "6");
    assert_int_equal(parameter(fixture, "multifd-zstd-level"), 12);
}

static void test_capabilities(void **state)
{
    struct fixture *fixture = *state;
    struct ferry_error err;

    assert_int_equal(switch_to(fixture, "xbzrle", true, &err), 0);
    assert_string_equal(option(fixture, "compress"), "xbzrle");
    assert_int_equal(switch_to(fixture, "xbzrle", false, &err), 0);
    assert_string_equal(option(fixture, "compress"), "none");
    assert_false(capability(fixture, "events"));
    assert_int_equal(switch_to(fixture, "events", true, &err), 0);
    assert_true(capability(fixture, "events"));
    assert_int_equal(switch_to(fixture, "x-colo", false, &err), 0);
    assert_true(switch_to(fixture, "x-colo", true, &err) < 0);
    assert_string_equal(err.text, "Capability 'x-colo' is not in this release of Ferry");
    assert_true(switch_to(fixture, "teleport", true, &err) < 0);
    fixture->running = true;
    assert_int_equal(switch_to(fixture, "events", false, &err), -EBUSY);
    assert_true(capability(fixture, "events"));
}

/* One that names an option that nobody has would have no value to be told. */
static void test_rows_name_options(void **state)
{
    struct fixture *fixture = *state;
    json_t *all = qmp_parameters_json(&fixture->settings);

    assert_non_null(all);
    assert_true(json_object_size(all) >= 9);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_units, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_as_a_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fixed_ones_take_what_they_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_levels_wait_for_their_codec, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_capabilities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows_name_options, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
