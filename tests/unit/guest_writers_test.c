/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_writers_test.c - writers write where and as fast as they should, and not at all once they were stopped */
#include "clock.h"
#include "writers.h"

#include <ferry/memory.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#define REGIONS 8
#define BYTES   ((size_t)REGIONS * REGION_PAGES * FERRY_PAGE_BYTES)

struct crowd {
    struct guest_spec spec;
    uint8_t *ram;
    uint64_t writes[REGIONS];
    struct regions *regions;
    struct gate gate;
    struct touches touches;
    struct writers *writers;
};

static void crowd_open(struct crowd *crowd, const char *text)
{
    char all[200] = "size=8MiB,";

    memset(crowd, 0, sizeof(*crowd));
    strcat(all, text);
    assert_int_equal(spec_parse(all, &crowd->spec, NULL), 0);
    crowd->ram = aligned_alloc(FERRY_PAGE_BYTES, BYTES);
    assert_non_null(crowd->ram);
    crowd->regions = regions_new(&crowd->spec, crowd->ram, crowd->writes, true, NULL);
    assert_non_null(crowd->regions);
    regions_fill(crowd->regions);
    assert_int_equal(gate_init(&crowd->gate), 0);
    assert_int_equal(touches_init(&crowd->touches), 0);
    crowd->writers = writers_new(&crowd->spec, crowd->regions, &crowd->gate, &crowd->touches, NULL, NULL);
    assert_non_null(crowd->writers);
}

static void crowd_close(struct crowd *crowd)
{
    gate_quit(&crowd->gate);
    writers_free(crowd->writers);
    regions_free(crowd->regions);
    gate_destroy(&crowd->gate);
    touches_destroy(&crowd->touches);
    free(crowd->ram);
}

/* Run until @pages more are written. */
static void run(struct crowd *crowd, uint64_t pages)
{
    uint64_t target = writers_pages(crowd->writers) + pages;

    gate_open(&crowd->gate);
    while (writers_pages(crowd->writers) < target)
        sched_yield();
    gate_close(&crowd->gate);
}

static uint64_t total(const struct crowd *crowd)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < REGIONS; i++)
        sum += crowd->writes[i];
    return sum;
}

static void check(struct crowd *crowd)
{
    regions_check(crowd->regions);
    assert_int_equal(crowd->regions->findings.mismatched + crowd->regions->findings.lost_writes, 0);
    assert_int_equal(total(crowd), writers_pages(crowd->writers));
}

static void nothing_is_written_after_a_stop(void **state)
{
    struct crowd crowd;

    crowd_open(&crowd, "dirty=unlimited,threads=3");
    for (unsigned round = 0; round < 10; round++) {
        uint64_t pages, hash;

        run(&crowd, 100);
        pages = writers_pages(crowd.writers);
        hash = XXH3_64bits(crowd.ram, BYTES);
        for (unsigned i = 0; i < 20; i++)
            sched_yield();
        assert_int_equal(writers_pages(crowd.writers), pages);
        assert_true(XXH3_64bits(crowd.ram, BYTES) == hash);
        check(&crowd);
    }
    crowd_close(&crowd);
}

static void checks_and_writes_go_side_by_side(void **state)
{
    struct crowd crowd;
    uint64_t before;

    crowd_open(&crowd, "dirty=unlimited,threads=2,zero=20%,content=text");
    for (unsigned i = 0; i < REGIONS; i++)
        crowd.regions->region[i].trusted = false;
    gate_open(&crowd.gate);
    for (unsigned i = 0; i < 5; i++) {
        before = writers_pages(crowd.writers);
        regions_check(crowd.regions);
        while (writers_pages(crowd.writers) == before)
            sched_yield();
    }
    gate_close(&crowd.gate);
    check(&crowd);
    crowd_close(&crowd);
}

/* Counted against the clock, but only upwards: a machine that is busy may be slower, never faster. */
static void the_rate_is_not_exceeded(void **state)
{
    uint64_t rate = 64u << 20, most;
    struct crowd crowd;
    int64_t began;

    crowd_open(&crowd, "dirty=64MiB/s,threads=2");
    began = clock_now_ns();
    run(&crowd, 500);
    most = (uint64_t)((double)(clock_now_ns() - began) / NS_PER_SEC * (double)rate / FERRY_PAGE_BYTES) + 2;
    assert_in_range(writers_pages(crowd.writers), 500, most);
    crowd_close(&crowd);
}

static void hot_writes_stay_in_the_hot_part(void **state)
{
    struct crowd crowd;

    crowd_open(&crowd, "dirty=unlimited,hot=25%");
    run(&crowd, 1000);
    assert_true(crowd.writes[0] > 100);
    assert_true(crowd.writes[1] > 100);
    assert_int_equal(crowd.writes[0] + crowd.writes[1], writers_pages(crowd.writers));
    crowd_close(&crowd);
}

static void uniform_writes_reach_everything(void **state)
{
    struct crowd crowd;

    crowd_open(&crowd, "dirty=unlimited,threads=2");
    run(&crowd, 4000);
    for (unsigned i = 0; i < REGIONS; i++)
        assert_true(crowd.writes[i] > total(&crowd) / REGIONS / 2);
    check(&crowd);
    crowd_close(&crowd);
}

static void sequential_writes_go_from_page_to_page(void **state)
{
    struct crowd crowd;

    crowd_open(&crowd, "dirty=unlimited,pattern=sequential");
    run(&crowd, 3 * REGION_PAGES);
    for (uint64_t i = 0; i < REGIONS; i++) {
        uint64_t rounds = total(&crowd) / (REGIONS * REGION_PAGES), rest = total(&crowd) % (REGIONS * REGION_PAGES);
        uint64_t in_this = rest < i * REGION_PAGES ? 0 : rest - i * REGION_PAGES;

        assert_int_equal(crowd.writes[i], rounds * REGION_PAGES + (in_this < REGION_PAGES ? in_this : REGION_PAGES));
    }
    crowd_close(&crowd);
}

static void an_idle_guest_writes_nothing(void **state)
{
    struct crowd crowd;

    crowd_open(&crowd, "dirty=0,threads=4");
    gate_open(&crowd.gate);
    for (unsigned i = 0; i < 20; i++)
        sched_yield();
    gate_close(&crowd.gate);
    assert_int_equal(writers_pages(crowd.writers), 0);
    crowd_close(&crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_after_a_stop), cmocka_unit_test(checks_and_writes_go_side_by_side),
        cmocka_unit_test(the_rate_is_not_exceeded),        cmocka_unit_test(hot_writes_stay_in_the_hot_part),
        cmocka_unit_test(uniform_writes_reach_everything), cmocka_unit_test(sequential_writes_go_from_page_to_page),
        cmocka_unit_test(an_idle_guest_writes_nothing),
    };

    return cmocka_run_group_tests_name("guest_writers", tests, NULL, NULL);
}
