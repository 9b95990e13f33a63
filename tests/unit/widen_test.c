/* SPDX-License-Identifier: BSD-3-Clause */
/* widen_test.c - channels are added as long as each brings 5 % more, and no longer */
#include "widen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WINDOWS_MOST 12

struct row {
    const char *what;
    unsigned most;
    uint64_t mib_per_sec[WINDOWS_MOST]; /* of each window; 0: no more */
    unsigned used[WINDOWS_MOST];        /* after it */
};

static const struct row rows[] = {
    { "there is but one", 1, { 100, 300 }, { 1, 1 } },
    { "the second brings nothing", 4, { 100, 100, 100, 900 }, { 2, 2, 1, 1 } },
    { "the second takes something away", 4, { 100, 90, 80, 900 }, { 2, 2, 1, 1 } },
    { "each brings something, until there are no more", 3, { 100, 200, 300, 10 }, { 2, 3, 3, 3 } },
    { "just 5 % is enough", 3, { 100, 105, 111 }, { 2, 3, 3 } },
    { "less than 5 % is not", 3, { 1000, 1049, 1049, 5000 }, { 2, 2, 1, 1 } },
    { "a disturbed window does not decide", 3, { 100, 20, 150, 155, 170 }, { 2, 2, 3, 3, 3 } },
    { "the third brings too little", 8, { 100, 190, 195, 193, 400 }, { 2, 3, 3, 2, 2 } },
    { "each is held against all before it", 8, { 100, 110, 120, 130, 132, 131 }, { 2, 3, 4, 5, 5, 4 } },
};

static void channels_are_added_while_each_brings_5_percent(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct widen widen;

        print_message("%s\n", row->what);
        widen_init(&widen, row->most);
        assert_int_equal(widen.used, 1);
        for (unsigned window = 0; window < WINDOWS_MOST && row->mib_per_sec[window] > 0; window++)
            assert_int_equal(widen_told(&widen, row->mib_per_sec[window] << 20), row->used[window]);
        assert_true(widen.settled);
    }
}

static void a_link_that_carries_nothing_settles_nothing(void **state)
{
    struct widen widen;

    widen_init(&widen, 2);
    assert_int_equal(widen_told(&widen, 0), 2);
    assert_false(widen.settled);
    assert_int_equal(widen_told(&widen, 100), 2);
    assert_true(widen.settled);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_added_while_each_brings_5_percent),
        cmocka_unit_test(a_link_that_carries_nothing_settles_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
