/* SPDX-License-Identifier: BSD-3-Clause */
/* guest_kvm_test.c - a kvm guest writes what it says, stands still at once, and its check finds what is wrong */
#include "clock.h"
#include "guest.h"
#include "kvm_plan.h"
#include "kvm_program.h"
#include "kvm_state.h"
#include "kvm_vm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED_3 "seed=3"

static struct bench_guest *make(const char *text)
{
    struct ferry_error err = { 0 };
    struct bench_guest *guest = bench_guest_new(text, &err);

    if (!guest)
        fail_msg("%s: %s", text, err.text);
    return guest;
}

static uint8_t *page_of(struct bench_guest *guest, uint64_t page)
{
    return (uint8_t *)ferry_guest_block(bench_guest_ferry(guest), 0)->host + page * FERRY_PAGE_BYTES;
}

static struct kvm_plan plan_of(const char *keys)
{
    struct guest_spec spec;
    struct kvm_plan plan;

    assert_int_equal(spec_parse(keys, &spec, NULL), 0);
    assert_int_equal(kvm_plan_make(&plan, &spec, NULL), 0);
    return plan;
}

/* Until it has written so many pages. */
static void run_until(struct bench_guest *guest, uint64_t pages)
{
    struct bench_figures figures;

    do {
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        bench_guest_figures(guest, &figures);
    } while (figures.pages_written < pages);
}

static struct bench_verify verify(struct bench_guest *guest)
{
    struct bench_verify found;
    struct ferry_error err = { 0 };

    if (bench_guest_verify(guest, 0, &found, &err) < 0)
        fail_msg("%s", err.text);
    return found;
}

static void expect_good(struct bench_guest *guest)
{
    struct bench_verify found = verify(guest);

    if (found.mismatched || found.lost_writes)
        fail_msg("%s", found.first);
}

static void it_writes_what_its_registers_say(void **state)
{
    static const char *const texts[] = {
        "kvm:size=4MiB,dirty=unlimited",
        "kvm:size=4MiB,dirty=unlimited,threads=2,zero=30%",
        "kvm:size=4MiB,dirty=unlimited,hot=1%",
        "kvm:size=4MiB,dirty=40MiB/s,pattern=sequential,huge=off",
        "kvm:size=4MiB,dirty=20MiB/s,dirty-log=ring",
        "kvm:size=28KiB,dirty=unlimited,seed=77",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bench_guest *guest = make(texts[i]);
        struct bench_figures figures;

        assert_int_equal(bench_guest_start(guest, NULL), 0);
        run_until(guest, 1000);
        expect_good(guest);
        bench_guest_figures(guest, &figures);
        assert_true(figures.beats > 0);
        assert_true(figures.blackout_ns == -1);
        bench_guest_free(guest);
    }
}

static void it_keeps_to_its_rate_and_its_pulse(void **state)
{
    struct bench_guest *guest = make("kvm:size=4MiB,dirty=8MiB/s");
    struct bench_guest *idle = make("kvm:size=4MiB");
    struct bench_figures figures;

    assert_int_equal(bench_guest_start(guest, NULL), 0);
    run_until(guest, 300);
    bench_guest_figures(guest, &figures);
    assert_true(figures.dirty_bytes_per_sec < UINT64_C(9) << 20); /* a busy machine makes it slower, never faster */
    bench_guest_free(guest);

    assert_int_equal(bench_guest_start(idle, NULL), 0);
    do {
        clock_sleep_until_ns(clock_now_ns() + NS_PER_MS);
        bench_guest_figures(idle, &figures);
    } while (figures.beats < 20);
    assert_int_equal(figures.pages_written, 0);
    expect_good(idle);
    bench_guest_free(idle);
}

/* Whatever its vCPUs are at, after a stop nothing changes, and nothing is lost. */
static void it_stands_still_when_stopped(void **state)
{
    static const char *const texts[] = {
        "kvm:size=2MiB,dirty=unlimited,threads=2",
        "kvm:size=2MiB,dirty=30MiB/s,threads=2",
    };
    static uint8_t copy[2 << 20];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bench_guest *guest = make(texts[i]);

        for (int round = 0; round < 60; round++) {
            assert_int_equal(bench_guest_start(guest, NULL), 0);
            assert_int_equal(bench_guest_start(guest, NULL), 0);
            clock_sleep_until_ns(clock_now_ns() + round * 20000);
            assert_int_equal(bench_guest_stop(guest, NULL), 0);
            assert_int_equal(bench_guest_stop(guest, NULL), 0);
            memcpy(copy, page_of(guest, 0), sizeof(copy));
            clock_sleep_until_ns(clock_now_ns() + 100000);
            assert_memory_equal(copy, page_of(guest, 0), sizeof(copy));
        }
        expect_good(guest);
        bench_guest_free(guest);
    }
}

/* ---- what is wrong is found -------------------------------------------------------------------------------------- */

enum damage { FLIPPED, STALE, ZERO_WRITTEN, TABLE, COUNTER, FOREIGN };

static void do_damage(struct bench_guest *guest, const struct kvm_plan *plan, enum damage damage)
{
    struct kvm_content other;
    uint64_t lines[SPEC_THREADS_MAX] = { 0 }, page = plan->data + 40;

    while (kvm_plan_due(plan, page, lines).kind != (damage == ZERO_WRITTEN ? KVM_PAGE_IS_ZERO : KVM_PAGE_IS_DATA))
        page++;
    switch (damage) {
    case FLIPPED:
        page_of(guest, page)[1234] ^= 4;
        break;
    case STALE:
        kvm_content_write(&plan->content, page_of(guest, page), page, 0);
        break;
    case ZERO_WRITTEN:
        page_of(guest, page)[4095] = 1;
        break;
    case TABLE:
        page_of(guest, 2)[8] ^= 0x20;
        break;
    case COUNTER: /* as if the last writes of its page were lost */
        *(uint64_t *)(void *)(page_of(guest, plan->cpu) + KVM_PAGE_BEATS) -= 2;
        break;
    case FOREIGN:
        kvm_content_init(&other, 99);
        kvm_content_write(&other, page_of(guest, page), page, 3);
        break;
    }
}

static void damage_is_found(void **state)
{
    static const struct {
        enum damage damage;
        unsigned lost, mismatched;
        const char *words;
    } cases[] = {
        { FLIPPED, 0, 1, "holds parts of generation" }, { STALE, 1, 0, "holds all of generation 0" },
        { ZERO_WRITTEN, 0, 1, "should be zero" },       { TABLE, 0, 1, "is not what the machine was set up with" },
        { COUNTER, 0, 1, "number of beats" },           { FOREIGN, 0, 1, "is none of this guest's" },
    };
    struct kvm_plan plan = plan_of("size=4MiB,zero=20%," SEED_3);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench_guest *guest = make("kvm:size=4MiB,zero=20%,dirty=unlimited," SEED_3);
        struct bench_verify found;

        assert_int_equal(bench_guest_start(guest, NULL), 0);
        run_until(guest, 4000); /* several laps */
        assert_int_equal(bench_guest_stop(guest, NULL), 0);
        do_damage(guest, &plan, cases[i].damage);
        found = verify(guest);
        if (found.lost_writes != cases[i].lost || found.mismatched != cases[i].mismatched ||
            !strstr(found.first, cases[i].words))
            fail_msg("%zu: %d lost, %d mismatched: %s", i, (int)found.lost_writes, (int)found.mismatched, found.first);
        bench_guest_free(guest);
    }
}

/* It runs on, over the damage: then only the guest itself can have seen it. */
static void the_guest_itself_finds_what_it_is_about_to_overwrite(void **state)
{
    static const enum damage damages[] = { FLIPPED, STALE, FOREIGN };
    struct kvm_plan plan = plan_of("size=4MiB," SEED_3);

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct bench_guest *guest = make("kvm:size=4MiB,dirty=unlimited," SEED_3);
        struct bench_verify found;
        struct bench_figures figures;

        assert_int_equal(bench_guest_start(guest, NULL), 0);
        run_until(guest, 3000);
        assert_int_equal(bench_guest_stop(guest, NULL), 0);
        do_damage(guest, &plan, damages[i]);
        bench_guest_figures(guest, &figures);
        assert_int_equal(bench_guest_start(guest, NULL), 0);
        run_until(guest, figures.pages_written + 2000);
        found = verify(guest);
        assert_int_equal(found.mismatched + found.lost_writes, 1);
        assert_int_equal(found.lost_writes, damages[i] == STALE);
        bench_guest_free(guest);
    }
}

static void a_guest_that_crashes_says_so(void **state)
{
    struct kvm_plan plan = plan_of("size=4MiB");
    struct bench_guest *guest = make("kvm:size=4MiB,dirty=unlimited");
    struct bench_verify found;
    struct ferry_error err = { 0 };
    int ret;

    for (unsigned i = 0; i < 1024; i++)
        memcpy(page_of(guest, plan.program) + 2 * i, "\x0f\x0b", 2); /* ud2, and nobody handles that */
    do {                                                             /* until its vCPU has got to run */
        assert_int_equal(bench_guest_start(guest, NULL), 0);
        ret = bench_guest_verify(guest, 20 * NS_PER_MS, &found, &err);
    } while (ret == 0);
    assert_int_equal(ret, -EIO);
    assert_non_null(strstr(err.text, "vCPU 0 of the guest "));
    bench_guest_free(guest);
}

/* ---- its state --------------------------------------------------------------------------------------------------- */

static void a_state_that_does_not_fit_is_refused(void **state)
{
    struct guest_spec spec;
    struct kvm_cpu_state *cpu = calloc(2, sizeof(*cpu));
    struct kvm_state good, bad;
    struct ferry_error err = { 0 };

    assert_non_null(cpu);
    assert_int_equal(spec_parse("size=4MiB,threads=2", &spec, NULL), 0);
    good = (struct kvm_state){ .spec = spec,
                               .time = { .tsc_khz = 2000000 },
                               .cpuid = 1,
                               .cpuid_here = 1,
                               .cpu_count = 2,
                               .cpu = cpu,
                               .ram_bytes = 4 << 20 };
    assert_int_equal(kvm_state_desc.hooks.check(&good, 1, NULL), 0);
    bad = good;
    bad.cpuid = 2;
    assert_int_equal(kvm_state_desc.hooks.check(&bad, 1, &err), -EINVAL);
    assert_string_equal(err.text, "the guest's vCPUs have features 0000000000000002, but this host makes vCPUs with "
                                  "0000000000000001");
    assert_true(err.hint[0]);
    bad = good;
    bad.ram_bytes = 8 << 20;
    assert_int_equal(kvm_state_desc.hooks.check(&bad, 1, NULL), -EINVAL);
    bad = good;
    bad.time.tsc_khz = 0;
    assert_int_equal(kvm_state_desc.hooks.check(&bad, 1, NULL), -EINVAL);
    bad = good;
    bad.spec.content = SPEC_TEXT;
    assert_int_equal(kvm_state_desc.hooks.check(&bad, 1, NULL), -EINVAL);
    bad = good;
    bad.loaded = true;
    assert_int_equal(kvm_state_desc.hooks.check(&bad, 1, NULL), -EEXIST);
    cpu[1].parts = 32;
    assert_int_equal(kvm_state_desc.hooks.check(&good, 1, NULL), -EINVAL);
    free(cpu);
}

static void without_state_it_does_not_run(void **state)
{
    struct bench_guest *guest = bench_guest_incoming("kvm", NULL);
    struct bench_verify found;

    assert_non_null(guest);
    assert_int_equal(bench_guest_start(guest, NULL), -EPROTO);
    assert_int_equal(bench_guest_stop(guest, NULL), 0);
    assert_int_equal(bench_guest_verify(guest, 0, &found, NULL), -EPROTO);
    bench_guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_writes_what_its_registers_say),
        cmocka_unit_test(it_keeps_to_its_rate_and_its_pulse),
        cmocka_unit_test(it_stands_still_when_stopped),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(the_guest_itself_finds_what_it_is_about_to_overwrite),
        cmocka_unit_test(a_guest_that_crashes_says_so),
        cmocka_unit_test(a_state_that_does_not_fit_is_refused),
        cmocka_unit_test(without_state_it_does_not_run),
    };
    struct ferry_error err = { 0 };
    struct kvm_vm vm;
    int rc;

    kvm_vm_init(&vm);
    rc = kvm_vm_open(&vm, &err);
    kvm_vm_close(&vm);
    if (rc < 0) {
        printf("SKIP: needs kvm: %s\n", err.text);
        return 77;
    }
    return cmocka_run_group_tests_name("guest_kvm", tests, NULL, NULL);
}
