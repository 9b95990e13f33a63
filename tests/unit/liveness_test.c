/* SPDX-License-Identifier: BSD-3-Clause */
/* liveness_test.c - how often a side looks and beats does not hang on its own patience alone */
#include "clock.h"
#include "liveness.h"

#include <ferry/codes.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define HUNG_NS (60 * NS_PER_SEC)
#define LONG_NS (3600 * (uint64_t)NS_PER_SEC)

struct watched {
    atomic_uint beats, suspicions, losses;
    enum ferry_code why;
};

static int64_t never_heard(void *opaque)
{
    return 0;
}

static int64_t heard_now(void *opaque)
{
    return clock_now_ns();
}

static void beat(void *opaque, uint64_t count)
{
    atomic_fetch_add(&((struct watched *)opaque)->beats, 1);
}

static void suspect(void *opaque, int64_t silent_ns)
{
    atomic_fetch_add(&((struct watched *)opaque)->suspicions, 1);
}

static void lost(void *opaque, struct ferry_error *err)
{
    struct watched *watched = opaque;

    watched->why = err->code;
    atomic_fetch_add(&watched->losses, 1);
}

static void await(atomic_uint *count, unsigned least)
{
    int64_t until = clock_now_ns() + HUNG_NS;

    while (atomic_load(count) < least && clock_now_ns() < until)
        usleep(1000);
    assert_true(atomic_load(count) >= least);
}

static void who_is_lost_before_it_is_suspect_is_found(void **state)
{
    static const struct liveness_ops ops = { never_heard, beat, suspect, lost };
    struct watched watched = { 0 };
    struct liveness *liveness = liveness_new(&ops, &watched, LONG_NS, 40 * NS_PER_MS, NULL);

    assert_non_null(liveness);
    await(&watched.losses, 1);
    liveness_free(liveness);
    assert_int_equal(watched.why, FERRY_E_PEER_SILENT);
    assert_int_equal(atomic_load(&watched.losses), 1);
    assert_int_equal(atomic_load(&watched.suspicions), 0);
}

static void a_patient_side_beats_all_the_same(void **state)
{
    static const struct liveness_ops ops = { heard_now, beat, suspect, lost };
    struct watched watched = { 0 };
    struct liveness *liveness = liveness_new(&ops, &watched, LONG_NS, 2 * LONG_NS, NULL);

    assert_non_null(liveness);
    await(&watched.beats, 3);
    liveness_free(liveness);
    assert_int_equal(atomic_load(&watched.suspicions) + atomic_load(&watched.losses), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_lost_before_it_is_suspect_is_found),
        cmocka_unit_test(a_patient_side_beats_all_the_same),
    };

    return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
