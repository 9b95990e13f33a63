/* SPDX-License-Identifier: BSD-3-Clause */
/* peer_version_test.c - what the name of a machine says about the QEMU that made it */
#include "peer_version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_name_of_a_machine_says_its_version(void **state)
{
    static const struct {
        const char *machine;
        enum peer_version_choice version;
    } rows[] = {
        { "pc-i440fx-7.2", PEER_VERSION_7_2 },
        { "pc-q35-2.12", PEER_VERSION_7_2 },
        { "virt-8.0", PEER_VERSION_7_2 },
        { "pc-q35-8.1", PEER_VERSION_8_1 },
        { "pc-i440fx-8.2", PEER_VERSION_8_1 },
        { "pc-q35-9.0", PEER_VERSION_9_0 },
        { "pc-i440fx-10.0", PEER_VERSION_9_0 },
        { "s390-ccw-virtio-8.2", PEER_VERSION_8_1 },
        { "pattern", PEER_VERSION_9_0 },
        { "none", PEER_VERSION_9_0 },
        { "", PEER_VERSION_9_0 },
        { "7.2", PEER_VERSION_9_0 },
        { "pc-q35-", PEER_VERSION_9_0 },
        { "pc-q35-7", PEER_VERSION_9_0 },
        { "pc-q35-7.", PEER_VERSION_9_0 },
        { "pc-q35-7.2x", PEER_VERSION_9_0 },
        { "pc-q35-7.2.0", PEER_VERSION_9_0 },
        { "pc-q35-rhel7.2", PEER_VERSION_9_0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (peer_version_of(PEER_VERSION_AUTO, rows[i].machine) != rows[i].version)
            fail_msg("'%s' is taken for %u", rows[i].machine, peer_version_of(PEER_VERSION_AUTO, rows[i].machine));
}

static void what_was_asked_for_counts(void **state)
{
    assert_int_equal(peer_version_of(PEER_VERSION_9_0, "pc-i440fx-7.2"), PEER_VERSION_9_0);
    assert_int_equal(peer_version_of(PEER_VERSION_7_2, "pc-i440fx-10.0"), PEER_VERSION_7_2);
    assert_int_equal(peer_version_of(PEER_VERSION_8_1, "pattern"), PEER_VERSION_8_1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_a_machine_says_its_version),
        cmocka_unit_test(what_was_asked_for_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
