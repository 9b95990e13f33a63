/* SPDX-License-Identifier: BSD-3-Clause */
/* dirty_test.c - the dirty map says what a plain array of bools says, whatever is done to both */
#include "dirty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MODEL_MAX 400

struct pair {
    struct dirty_map map;
    bool model[MODEL_MAX];
    uint64_t pages;
};

static void pair_check(const struct pair *pair)
{
    uint64_t count = 0;

    for (uint64_t page = 0; page < pair->pages; page++) {
        assert_int_equal(dirty_test(&pair->map, page), pair->model[page]);
        count += pair->model[page];
    }
    assert_int_equal(pair->map.count, count);
}

static uint64_t model_run(const struct pair *pair, uint64_t from, uint64_t max, uint64_t *first)
{
    uint64_t run = 0;

    while (from < pair->pages && !pair->model[from])
        from++;
    *first = from;
    while (from + run < pair->pages && run < max && pair->model[from + run])
        run++;
    return run;
}

static uint64_t model_or(struct pair *pair, const uint64_t *words)
{
    uint64_t became = 0;

    for (uint64_t page = 0; page < pair->pages; page++) {
        bool set = words[page / 64] >> (page % 64) & 1;

        became += set && !pair->model[page];
        pair->model[page] |= set;
    }
    return became;
}

static void pair_or_random(struct pair *pair)
{
    uint64_t words[MODEL_MAX / 64 + 1];
    uint64_t became;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        words[i] = (uint64_t)random() << 40 ^ (uint64_t)random() << 20 ^ (uint64_t)random();
    became = model_or(pair, words);
    assert_int_equal(dirty_or(&pair->map, words), became);
}

static void pair_take_random(struct pair *pair)
{
    uint64_t from = (uint64_t)random() % (pair->pages + 3);
    uint64_t max = (uint64_t)random() % 140;
    uint64_t first = 0, expected_first = 0, again = 0;
    uint64_t expected = model_run(pair, from, max, &expected_first);

    assert_int_equal(dirty_next_run(&pair->map, from, max, &first), expected);
    if (expected)
        assert_int_equal(first, expected_first);
    assert_int_equal(dirty_take_run(&pair->map, from, max, &again), expected);
    for (uint64_t i = 0; i < expected; i++)
        pair->model[expected_first + i] = false;
    if (expected)
        assert_int_equal(again, expected_first);
}

static void pair_do_something(struct pair *pair)
{
    uint64_t page = (uint64_t)random() % pair->pages;
    uint64_t count = (uint64_t)random() % 200;

    switch (random() % 8) {
    case 0:
        dirty_set_range(&pair->map, page, 1);
        pair->model[page] = true;
        break;
    case 1:
        dirty_clear(&pair->map, page);
        pair->model[page] = false;
        break;
    case 2:
        dirty_set_range(&pair->map, page, count);
        for (uint64_t i = page; i < page + count && i < pair->pages; i++)
            pair->model[i] = true;
        break;
    case 3:
        pair_or_random(pair);
        break;
    case 4:
        if (random() % 8 == 0) {
            dirty_set_all(&pair->map);
            memset(pair->model, true, sizeof(pair->model));
        }
        break;
    case 5:
        if (random() % 8 == 0) {
            dirty_clear_all(&pair->map);
            memset(pair->model, false, sizeof(pair->model));
        }
        break;
    default:
        pair_take_random(pair);
    }
}

static void random_operations_agree_with_a_model(void **state)
{
    static const uint64_t sizes[] = { 1, 2, 63, 64, 65, 127, 128, 129, 320, 399 };

    srandom(2);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pair pair = { .pages = sizes[i] };

        assert_int_equal(dirty_init(&pair.map, pair.pages), 0);
        pair_check(&pair);
        for (unsigned step = 0; step < 1500; step++) {
            pair_do_something(&pair);
            pair_check(&pair);
        }
        dirty_clear_memory(&pair.map);
    }
}

static void pages_past_the_end_do_nothing(void **state)
{
    struct dirty_map map;
    uint64_t first = 0;

    assert_int_equal(dirty_init(&map, 70), 0);
    dirty_set_range(&map, 70, 1);
    dirty_set_range(&map, UINT64_MAX, 1);
    dirty_set_range(&map, 71, 5);
    assert_int_equal(map.count, 0);
    dirty_set_range(&map, 68, UINT64_MAX);
    assert_int_equal(map.count, 2);
    dirty_clear(&map, 70);
    assert_false(dirty_test(&map, 70));
    assert_int_equal(dirty_next_run(&map, 0, UINT64_MAX, &first), 2);
    assert_int_equal(first, 68);
    assert_int_equal(dirty_next_run(&map, UINT64_MAX, 1, &first), 0);
    dirty_clear_memory(&map);
    dirty_clear_memory(&map);
    assert_int_equal(dirty_init(&map, 0), 0);
    dirty_set_all(&map);
    assert_int_equal(dirty_next_run(&map, 0, 1, &first), 0);
    dirty_clear_memory(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_model),
        cmocka_unit_test(pages_past_the_end_do_nothing),
    };

    return cmocka_run_group_tests_name("dirty", tests, NULL, NULL);
}
