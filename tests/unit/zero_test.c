/* SPDX-License-Identifier: BSD-3-Clause */
/* zero_test.c - every implementation finds every single bit, and nothing outside what it was given */
#include "zero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 4352 /* a page and its surroundings */

static _Alignas(64) uint8_t memory[ROOM];

typedef bool zero_fn(const void *data, size_t bytes);

static void check_lengths(zero_fn *test)
{
    memset(memory, 0, sizeof(memory));
    for (size_t bytes = 0; bytes <= 4096; bytes += 64) {
        assert_true(test(memory + 64, bytes));
        memory[63] = 1;
        memory[64 + bytes] = 1;
        if (!test(memory + 64, bytes))
            fail_msg("%zu bytes: looked outside", bytes);
        memory[63] = 0;
        memory[64 + bytes] = 0;
    }
}

static void check_every_bit(zero_fn *test, size_t bytes)
{
    memset(memory, 0, sizeof(memory));
    for (size_t at = 0; at < bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memory[64 + at] = (uint8_t)(1u << bit);
            if (test(memory + 64, bytes))
                fail_msg("bit %u of byte %zu of %zu was missed", bit, at, bytes);
        }
        memory[64 + at] = 0;
    }
    assert_true(test(memory + 64, bytes));
}

static void check_impl(zero_fn *test)
{
    check_lengths(test);
    check_every_bit(test, 64);
    check_every_bit(test, 320);
    check_every_bit(test, 576);
    check_every_bit(test, 4096);
}

static void every_implementation_finds_every_bit(void **state)
{
    unsigned used = 0;

    for (size_t i = 0; i < zero_impls_count; i++) {
        if (!zero_impls[i].usable()) {
            print_message("%s: not on this processor\n", zero_impls[i].name);
            continue;
        }
        check_impl(zero_impls[i].test);
        used++;
    }
    assert_true(used > 0);
}

static void the_chosen_one_finds_every_bit(void **state)
{
    check_impl(zero_test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_implementation_finds_every_bit),
        cmocka_unit_test(the_chosen_one_finds_every_bit),
    };

    return cmocka_run_group_tests_name("zero", tests, NULL, NULL);
}
