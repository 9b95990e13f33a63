/* SPDX-License-Identifier: BSD-3-Clause */
/* atomic_bits_test.c - each bit is taken by one thread only, and ranges say what they changed */
#include "atomic_bits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BITS 4096

static atomic_word words[BITS / 64];

static void clear_all(void)
{
    atomic_bits_clear(words, 0, BITS);
}

static void ranges_count_what_they_change(void **state)
{
    clear_all();
    assert_int_equal(atomic_bits_set(words, 60, 10), 10);
    assert_int_equal(atomic_bits_set(words, 0, BITS), BITS - 10);
    assert_int_equal(atomic_bits_clear(words, 63, 130), 130);
    assert_int_equal(atomic_bits_clear(words, 63, 131), 1);
    assert_int_equal(atomic_bits_set(words, 5, 0), 0);
    assert_true(atomic_bits_test(words, 62));
    assert_false(atomic_bits_test(words, 63));
    assert_true(atomic_bits_test(words, 194));
}

static void runs_end_at_the_first_other(void **state)
{
    clear_all();
    atomic_bits_set(words, 100, 200);
    assert_int_equal(atomic_bits_run(words, 0, BITS, false), 100);
    assert_int_equal(atomic_bits_run(words, 0, 50, false), 50);
    assert_int_equal(atomic_bits_run(words, 0, BITS, true), 0);
    assert_int_equal(atomic_bits_run(words, 100, BITS - 100, true), 200);
    assert_int_equal(atomic_bits_run(words, 130, 20, true), 20);
    assert_int_equal(atomic_bits_run(words, 300, BITS - 300, false), BITS - 300);
}

static void taking_stops_at_what_is_taken(void **state)
{
    clear_all();
    atomic_bits_set(words, 200, 1);
    assert_int_equal(atomic_bits_take(words, 10, 1000), 190);
    assert_int_equal(atomic_bits_take(words, 10, 1000), 0);
    assert_int_equal(atomic_bits_take(words, 201, 64), 64);
    assert_int_equal(atomic_bits_run(words, 0, 10, false), 10);
    assert_int_equal(atomic_bits_run(words, 265, 10, false), 10);
}

/* From both ends and in steps of their own, so that they meet within words. */
static void *take_all(void *opaque)
{
    uint64_t step = *(uint64_t *)opaque, taken = 0;

    for (uint64_t round = 0; round < 2; round++)
        for (uint64_t first = 0; first < BITS; first += step)
            taken += atomic_bits_take(words, first, BITS - first < 97 ? BITS - first : 97);
    for (uint64_t first = 0; first < BITS; first++)
        taken += atomic_bits_take(words, first, 1);
    *(uint64_t *)opaque = taken;
    return NULL;
}

static void each_bit_is_taken_once(void **state)
{
    for (unsigned round = 0; round < 20; round++) {
        uint64_t taken[3] = { 1, 13, 40 };
        pthread_t thread[3];

        clear_all();
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, take_all, &taken[i]), 0);
        for (unsigned i = 0; i < 3; i++)
            pthread_join(thread[i], NULL);
        assert_int_equal(taken[0] + taken[1] + taken[2], BITS);
        assert_int_equal(atomic_bits_run(words, 0, BITS, true), BITS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_count_what_they_change),
        cmocka_unit_test(runs_end_at_the_first_other),
        cmocka_unit_test(taking_stops_at_what_is_taken),
        cmocka_unit_test(each_bit_is_taken_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
