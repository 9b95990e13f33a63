/* SPDX-License-Identifier: BSD-3-Clause */
/* rules_test.c - blockers, "not yet", self-checks, and what a state that is refused leads to */
#include "clock.h"
#include "iterative_fixture.h"

#include <ferry/blocker.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct machine here, there;

static void open_both(void)
{
    machine_open(&here);
    machine_open(&there);
    assert_int_equal(machine_start(&here, NULL), 0);
}

static void close_both(struct move *move)
{
    move_free(move);
    machine_close(&here);
    machine_close(&there);
}

/* ---- blockers ---- */

static int block_from_inside(void *opaque, const struct ferry_notice *notice, struct ferry_error *err)
{
    if (notice->migration == FERRY_MIGRATION_ACTIVE)
        *(int *)opaque = ferry_guest_block_migration(here.guest, "too late", NULL);
    return 0;
}

static void a_blocked_guest_is_refused_with_all_reasons(void **state)
{
    struct ferry_channel *pair[2];
    struct ferry_error err = { 0 };
    int gpu, disk, late = 0;
    struct move move;

    open_both();
    assert_int_equal(ferry_guest_block_migration(here.guest, "", NULL), -EINVAL);
    gpu = ferry_guest_block_migration(here.guest, "gpu has no migration region", NULL);
    disk = ferry_guest_block_migration(here.guest, "disk is local", NULL);
    assert_true(gpu > 0 && disk > 0 && gpu != disk);
    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    assert_null(ferry_source_start(here.guest, pair[0], NULL, &err));
    assert_int_equal(err.errnum, -EPERM);
    assert_non_null(strstr(err.text, "gpu has no migration region"));
    assert_non_null(strstr(err.text, "disk is local"));
    ferry_guest_unblock_migration(here.guest, gpu);
    ferry_guest_unblock_migration(here.guest, gpu);
    assert_null(ferry_source_start(here.guest, pair[0], NULL, &err));
    assert_null(strstr(err.text, "gpu"));
    ferry_guest_unblock_migration(here.guest, disk);
    ferry_channel_unref(pair[0]);
    ferry_channel_unref(pair[1]);
    assert_int_equal(ferry_guest_add_notifier(here.guest, block_from_inside, &late, NULL), 0);
    move_begin(&move, &here, &there, NULL);
    move_end(&move);
    assert_int_equal(move.here.errnum, 0);
    assert_int_equal(late, -EBUSY);
    late = ferry_guest_block_migration(here.guest, "it is over", NULL);
    assert_true(late > 0);
    close_both(&move);
}

/* ---- not yet ---- */

struct reluctance {
    int refusals; /* how often "not yet" still comes; -1: for ever */
    int asked;
    int errnum;
};

static int may_switch(void *opaque, struct ferry_error *err)
{
    struct reluctance *reluctance = opaque;

    reluctance->asked++;
    if (reluctance->refusals == 0)
        return 0;
    if (reluctance->refusals > 0)
        reluctance->refusals--;
    return ferry_error_set(err, reluctance->errnum, "being reprogrammed");
}

static void move_reluctantly(struct move *move, struct reluctance *reluctance, const char *limit, const char *policy)
{
    const struct ferry_device_rules rules = { .may_switch = may_switch };
    struct ferry_options *options = ferry_options_new();

    assert_int_equal(ferry_options_set(options, "not-yet-limit", limit, NULL), 0);
    assert_int_equal(ferry_options_set(options, "not-yet-policy", policy, NULL), 0);
    open_both();
    assert_int_equal(ferry_guest_set_rules(here.guest, "fast", 0, &rules, reluctance, NULL), 0);
    move_begin(move, &here, &there, options);
    ferry_options_free(options);
}

static void not_yet_is_asked_again(void **state)
{
    struct reluctance reluctance = { .refusals = 3, .errnum = -EAGAIN };
    struct move move;

    move_reluctantly(&move, &reluctance, "60s", "fail");
    move_end(&move);
    assert_int_equal(move.here.errnum, 0);
    assert_int_equal(reluctance.asked, 4);
    assert_true(there.started);
    close_both(&move);
}

static void not_yet_for_too_long_fails_or_is_forced(void **state)
{
    for (int forced = 0; forced < 2; forced++) {
        struct reluctance reluctance = { .refusals = -1, .errnum = -EAGAIN };
        int64_t began = clock_now_ns();
        struct move move;

        move_reluctantly(&move, &reluctance, "30ms", forced ? "force" : "fail");
        move_end(&move);
        assert_int_equal(move.here.errnum, forced ? 0 : -ETIMEDOUT);
        assert_true(clock_now_ns() - began >= 30 * NS_PER_MS);
        assert_true(reluctance.asked > 1);
        if (!forced)
            assert_non_null(strstr(move.here.text, "'fast' 0: being reprogrammed"));
        assert_int_equal(here.started, !forced);
        assert_int_equal(here.stops, forced);
        close_both(&move);
    }
}

static void another_error_than_not_yet_fails_at_once(void **state)
{
    struct reluctance reluctance = { .refusals = -1, .errnum = -EIO };
    struct move move;

    move_reluctantly(&move, &reluctance, "60s", "force");
    move_end(&move);
    assert_int_equal(move.here.errnum, -EIO);
    assert_int_equal(reluctance.asked, 1);
    close_both(&move);
}

static void a_cancel_ends_not_yet(void **state)
{
    struct reluctance reluctance = { .refusals = -1, .errnum = -EAGAIN };
    struct ferry_stats stats;
    struct move move;

    move_reluctantly(&move, &reluctance, "3600s", "fail");
    do {
        assert_int_equal(ferry_session_wait(move.source, 1, NULL), -ETIMEDOUT);
        ferry_session_stats(move.source, &stats);
    } while (stats.ram.rounds < 5); /* more than it takes: it is being asked */
    ferry_session_cancel(move.source);
    move_end(&move);
    assert_int_equal(move.here.errnum, -ECANCELED);
    assert_true(here.started && here.stops == 0);
    close_both(&move);
}

/* ---- self-checks ---- */

static int self_check(void *opaque, struct ferry_error *err)
{
    struct toy *toy = opaque;

    assert_int_equal(there.starts, 0);
    assert_true(toy->loaded_rows >= TOY_ROWS);
    return toy == &there.toy[0] ? ferry_error_set(err, -EIO, "its fan does not turn")
                                : ferry_error_set(err, -ENODEV, "nothing is plugged in");
}

static void a_device_that_would_not_work_refuses_the_guest(void **state)
{
    const struct ferry_device_rules rules = { .self_check = self_check };
    struct move move;

    open_both();
    assert_int_equal(ferry_guest_set_rules(there.guest, "fast", 0, &rules, &there.toy[0], NULL), 0);
    assert_int_equal(ferry_guest_set_rules(there.guest, "slow", 0, &rules, &there.toy[1], NULL), 0);
    move_begin(&move, &here, &there, NULL);
    move_end(&move);
    assert_true(move.there.errnum < 0 && move.here.errnum < 0);
    assert_int_equal(move.there.code, FERRY_E_DEVICE_SELF_CHECK);
    assert_non_null(strstr(move.there.text, "'fast' 0: its fan does not turn"));
    assert_non_null(strstr(move.there.text, "'slow' 0: nothing is plugged in"));
    assert_int_equal(there.starts, 0);
    assert_true(here.started);
    close_both(&move);
}

/* ---- bad states ---- */

static int impaired; /* degraded: 1, disabled: 2 */

static void degrade(void *opaque, const struct ferry_error *why)
{
    assert_non_null(strstr(why->text, "does not like this"));
    impaired += 1;
}

static void disable(void *opaque, const struct ferry_error *why)
{
    impaired += 2;
}

static int never_asked(void *opaque, struct ferry_error *err)
{
    return ferry_error_set(err, -EIO, "an impaired device is not asked");
}

static void a_refused_state_follows_the_rules(void **state)
{
    for (int policy = FERRY_BAD_STATE_FAIL; policy <= FERRY_BAD_STATE_DISABLE; policy++) {
        const struct ferry_device_rules rules = {
            .bad_state = (enum ferry_bad_state)policy, .degrade = degrade, .disable = disable, .self_check = never_asked
        };
        struct ferry_stats stats;
        struct move move;

        impaired = 0;
        open_both();
        there.toy[1].fail_load = -EBADMSG;
        assert_int_equal(ferry_guest_set_rules(there.guest, "slow", 0, &rules, NULL, NULL), 0);
        move_begin(&move, &here, &there, NULL);
        move_end(&move);
        assert_int_equal(impaired, policy);
        assert_int_equal(there.started, policy != FERRY_BAD_STATE_FAIL);
        ferry_session_stats(move.destination, &stats);
        assert_int_equal(stats.impaired.count, policy != FERRY_BAD_STATE_FAIL);
        if (policy == FERRY_BAD_STATE_FAIL) {
            assert_non_null(strstr(move.there.text, "the toy does not like this"));
        } else {
            assert_string_equal(stats.impaired.device[0].name, "slow");
            assert_int_equal(stats.impaired.device[0].outcome, policy);
            assert_non_null(strstr(stats.impaired.device[0].reason, "does not like this"));
        }
        close_both(&move);
    }
}

/* A described device: refused by `check` or by `post_load`, in a body that is whole. */
struct lamp {
    uint32_t brightness;
    bool in_post_load;
};

static int lamp_check(const void *copy, int version, struct ferry_error *err)
{
    const struct lamp *lamp = copy;

    return lamp->brightness > 100 && !lamp->in_post_load ? ferry_error_set(err, -ERANGE, "the lamp does not like this")
                                                         : 0;
}

static int lamp_post_load(void *opaque, int version, struct ferry_error *err)
{
    const struct lamp *lamp = opaque;

    return lamp->brightness > 100 ? ferry_error_set(err, -ERANGE, "the lamp does not like this") : 0;
}

static const struct ferry_field lamp_fields[] = { FERRY_U32(brightness, struct lamp), FERRY_END };
static const struct ferry_state_desc lamp_desc = {
    .name = "lamp",
    .version_id = 1,
    .minimum_version_id = 1,
    .size = sizeof(struct lamp),
    .fields = lamp_fields,
    .hooks = { .check = lamp_check, .post_load = lamp_post_load },
};

static void described_devices_have_rules_too(void **state)
{
    const struct ferry_device_rules rules = { .bad_state = FERRY_BAD_STATE_DEGRADE, .degrade = degrade };

    for (int i = 0; i < 4; i++) {
        struct lamp lit = { .brightness = 101 }, dark = { .in_post_load = i & 1 };
        bool tolerant = i & 2;
        struct move move;

        impaired = 0;
        open_both();
        assert_int_equal(ferry_guest_add_device(here.guest, &lamp_desc, &lit, NULL, 0, NULL), 0);
        assert_int_equal(ferry_guest_add_device(there.guest, &lamp_desc, &dark, NULL, 0, NULL), 0);
        if (tolerant)
            assert_int_equal(ferry_guest_set_rules(there.guest, "lamp", 0, &rules, &dark, NULL), 0);
        move_begin(&move, &here, &there, NULL);
        move_end(&move);
        assert_int_equal(there.started, tolerant);
        assert_int_equal(impaired, tolerant);
        assert_int_equal(dark.brightness, dark.in_post_load ? 101 : 0);
        close_both(&move);
    }
}

static void rules_are_checked(void **state)
{
    const struct ferry_device_rules none = { 0 }, no_how = { .bad_state = FERRY_BAD_STATE_DEGRADE, .disable = disable };

    machine_open(&here);
    assert_int_equal(ferry_guest_set_rules(here.guest, "medium", 0, &none, NULL, NULL), -ENOENT);
    assert_int_equal(ferry_guest_set_rules(here.guest, "fast", 1, &none, NULL, NULL), -ENOENT);
    assert_int_equal(ferry_guest_set_rules(here.guest, "fast", 0, &no_how, NULL, NULL), -EINVAL);
    assert_int_equal(ferry_guest_set_rules(here.guest, "fast", 0, &none, NULL, NULL), 0);
    assert_int_equal(ferry_guest_set_rules(here.guest, "fast", 0, &none, NULL, NULL), -EEXIST);
    machine_close(&here);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocked_guest_is_refused_with_all_reasons),
        cmocka_unit_test(not_yet_is_asked_again),
        cmocka_unit_test(not_yet_for_too_long_fails_or_is_forced),
        cmocka_unit_test(another_error_than_not_yet_fails_at_once),
        cmocka_unit_test(a_cancel_ends_not_yet),
        cmocka_unit_test(a_device_that_would_not_work_refuses_the_guest),
        cmocka_unit_test(a_refused_state_follows_the_rules),
        cmocka_unit_test(described_devices_have_rules_too),
        cmocka_unit_test(rules_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
