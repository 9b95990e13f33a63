/* SPDX-License-Identifier: BSD-3-Clause */
/* notify_test.c - everybody is told of every step, in order, and of the way back wherever a migration ends */
#include "iterative_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What one was told, as "running/setup/1 ", and where to object or to cancel. */
struct ear {
    char heard[512];
    int object_at;                 /* a migration state; -1: nowhere */
    int cancel_at;                 /* likewise */
    struct ferry_session *cancels; /* set by the test before the sessions may go on */
    pthread_mutex_t *gate;
};

static int hear(void *opaque, const struct ferry_notice *notice, struct ferry_error *err)
{
    struct ear *ear = opaque;
    size_t used = strlen(ear->heard);

    snprintf(ear->heard + used, sizeof(ear->heard) - used, "%s/%s/%u ",
             notice->guest == FERRY_GUEST_RUNNING ? "runs" : "stands", ferry_migration_state_name(notice->migration),
             notice->device);
    if (ear->gate) {
        pthread_mutex_lock(ear->gate); /* until the test knows its session */
        pthread_mutex_unlock(ear->gate);
    }
    if ((int)notice->migration == ear->cancel_at)
        ferry_session_cancel(ear->cancels);
    if ((int)notice->migration == ear->object_at)
        return ferry_error_set(err, -EUCLEAN, "no, not now");
    return 0;
}

#define SOURCE_NONE   "runs/none/1 "
#define SOURCE_SETUP  SOURCE_NONE "runs/setup/1 "
#define SOURCE_ACTIVE SOURCE_SETUP "runs/active/3 "
#define SOURCE_PRE    SOURCE_ACTIVE "runs/pre-switchover/3 "
#define SOURCE_DEVICE SOURCE_PRE "stands/device/2 "
#define SOURCE_DONE   SOURCE_DEVICE "stands/completed/0 "
#define SOURCE_BACK   "runs/failed/1 runs/none/1 "

#define THERE_NONE   "stands/none/0 "
#define THERE_SETUP  THERE_NONE "stands/setup/4 "
#define THERE_ACTIVE THERE_SETUP "stands/active/4 "
#define THERE_DEVICE THERE_ACTIVE "stands/device/0 "
#define THERE_DONE   THERE_DEVICE "runs/completed/1 "
#define THERE_BACK   "stands/failed/0 stands/none/0 "

struct row {
    int source_objects, there_objects, cancel; /* -1: nobody */
    const char *source, *there;                /* NULL: depends on who is faster */
};

static const struct row rows[] = {
    { -1, -1, -1, SOURCE_DONE, THERE_DONE },
    /* failures, at either side, in each phase */
    { FERRY_MIGRATION_NONE, -1, -1, SOURCE_NONE SOURCE_BACK, NULL },
    { FERRY_MIGRATION_SETUP, -1, -1, SOURCE_SETUP SOURCE_BACK, NULL },
    { FERRY_MIGRATION_ACTIVE, -1, -1, SOURCE_ACTIVE SOURCE_BACK, NULL },
    { FERRY_MIGRATION_PRE_SWITCHOVER, -1, -1, SOURCE_PRE SOURCE_BACK, THERE_ACTIVE THERE_BACK },
    { FERRY_MIGRATION_DEVICE, -1, -1, SOURCE_DEVICE SOURCE_BACK, THERE_ACTIVE THERE_BACK },
    { FERRY_MIGRATION_COMPLETED, -1, -1, SOURCE_DONE, THERE_DONE }, /* too late to object */
    { -1, FERRY_MIGRATION_SETUP, -1, NULL, THERE_SETUP THERE_BACK },
    { -1, FERRY_MIGRATION_ACTIVE, -1, NULL, THERE_ACTIVE THERE_BACK },
    { -1, FERRY_MIGRATION_DEVICE, -1, SOURCE_DEVICE SOURCE_BACK, THERE_DEVICE THERE_BACK },
    /* cancels at the source */
    { -1, -1, FERRY_MIGRATION_SETUP, SOURCE_SETUP SOURCE_BACK, NULL },
    { -1, -1, FERRY_MIGRATION_ACTIVE, SOURCE_ACTIVE SOURCE_BACK, NULL },
    { -1, -1, FERRY_MIGRATION_PRE_SWITCHOVER, SOURCE_PRE SOURCE_BACK, THERE_ACTIVE THERE_BACK },
    { -1, -1, FERRY_MIGRATION_DEVICE, SOURCE_DEVICE SOURCE_BACK, THERE_ACTIVE THERE_BACK },
};

static void check_row(const struct row *row, int number)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct ear first = { .object_at = -1, .cancel_at = row->cancel, .gate = &gate };
    struct ear second = { .object_at = row->source_objects, .cancel_at = -1 };
    struct ear distant = { .object_at = row->there_objects, .cancel_at = -1 };
    static struct machine here, there;
    struct move move;

    machine_open(&here);
    machine_open(&there);
    assert_int_equal(ferry_guest_add_notifier(here.guest, hear, &first, NULL), 0);
    assert_int_equal(ferry_guest_add_notifier(here.guest, hear, &second, NULL), 0);
    assert_int_equal(ferry_guest_add_notifier(there.guest, hear, &distant, NULL), 0);
    assert_int_equal(machine_start(&here, NULL), 0);
    pthread_mutex_lock(&gate);
    move_begin(&move, &here, &there, NULL);
    first.cancels = move.source;
    pthread_mutex_unlock(&gate);
    move_end(&move);
    if (row->source && strcmp(first.heard, row->source))
        fail_msg("row %d: the source's first heard %s instead of %s", number, first.heard, row->source);
    if (row->source && row->cancel < 0 && strcmp(second.heard, row->source))
        fail_msg("row %d: the source's second heard %s", number, second.heard);
    if (row->there && strcmp(distant.heard, row->there))
        fail_msg("row %d: the destination heard %s instead of %s", number, distant.heard, row->there);
    if (row->source_objects >= 0 && row->source_objects != FERRY_MIGRATION_COMPLETED)
        assert_non_null(strstr(move.here.text, "no, not now"));
    assert_int_equal(here.started, move.here.errnum != 0);
    assert_int_equal(there.started, move.here.errnum == 0);
    move_free(&move);
    machine_close(&here);
    machine_close(&there);
}

static void every_row(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i], (int)i);
}

static void there_is_room_for_so_many(void **state)
{
    static struct machine machine;
    struct ear ear = { .object_at = -1, .cancel_at = -1 };

    machine_open(&machine);
    for (int i = 0; i < FERRY_NOTIFIERS_MAX; i++)
        assert_int_equal(ferry_guest_add_notifier(machine.guest, hear, &ear, NULL), 0);
    assert_int_equal(ferry_guest_add_notifier(machine.guest, hear, &ear, NULL), -ENOSPC);
    machine_close(&machine);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(there_is_room_for_so_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
