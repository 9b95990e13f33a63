/* SPDX-License-Identifier: BSD-3-Clause */
/* switchover_fixture.c - two sessions of one process, and something that goes wrong at a step of one of them */
#include "switchover_fixture.h"

#include "options.h"

#include <ferry/codes.h>
#include <ferry/notify.h>
#include <ferry/session.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static _Thread_local int syncs_to_fail;
static char folder[] = "/tmp/ferry-switchover-XXXXXX";

int __wrap_fdatasync(int fd)
{
    if (syncs_to_fail > 0) {
        syncs_to_fail--;
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(fd);
}

struct end here, there;
struct ferry_error err;
static atomic_bool two_ran;

static int stop(void *opaque, struct ferry_error *why)
{
    atomic_store(&((struct end *)opaque)->running, false);
    return 0;
}

static int start(void *opaque, struct ferry_error *why)
{
    struct end *end = opaque;

    if (end->cannot_start)
        return ferry_error_set_code(why, FERRY_E_GUEST_NOT_STARTED, -EIO, "no processor is free");
    if (atomic_load(&here.running) || atomic_load(&there.running))
        atomic_store(&two_ran, true);
    end->starts++;
    atomic_store(&end->running, true);
    return 0;
}

static const struct ferry_guest_ops ops = { .stop = stop, .start = start };
static const struct ferry_field fields[] = { FERRY_U32(count, struct end), FERRY_END };
static const struct ferry_state_desc desc = {
    .name = "counter", .version_id = 1, .minimum_version_id = 1, .size = sizeof(struct end), .fields = fields
};

static void at_step(void *opaque, const char *step)
{
    struct end *end = opaque;

    if (!end->at || strcmp(end->at, step) != 0)
        return;
    syncs_to_fail = end->syncs;
    if (end->cut)
        ferry_channel_shutdown(end->chan, FERRY_READ_WRITE);
    if (end->cancel)
        ferry_session_cancel(end->session);
}

static int hear(void *opaque, const struct ferry_notice *notice, struct ferry_error *why)
{
    ((struct end *)opaque)->told = notice->migration;
    return 0;
}

void end_open(struct end *end, const char *name)
{
    struct ferry_block ram = {
        .name = "ram", .length = SWITCHOVER_BYTES, .page_size = 4096, .flags = FERRY_BLOCK_PRIVATE
    };

    memset(end, 0, sizeof(*end));
    snprintf(end->journal, sizeof(end->journal), "%s/%s", folder, name);
    unlink(end->journal);
    end->ram = ram.host = mmap(NULL, SWITCHOVER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    end->guest = ferry_guest_new("tiny", &ops, end, NULL);
    end->options = ferry_options_new();
    assert_int_equal(ferry_guest_add_block(end->guest, &ram, NULL), 0);
    assert_int_equal(ferry_guest_add_device(end->guest, &desc, end, NULL, FERRY_INSTANCE_NEXT, NULL), 0);
    assert_int_equal(ferry_guest_add_notifier(end->guest, hear, end, NULL), 0);
    assert_int_equal(ferry_options_set(end->options, "journal", end->journal, NULL), 0);
    options_set_steps(end->options, at_step, end);
}

void end_close(struct end *end)
{
    ferry_session_free(end->session);
    ferry_channel_unref(end->chan);
    ferry_options_free(end->options);
    ferry_guest_free(end->guest);
    munmap(end->ram, SWITCHOVER_BYTES);
}

int set_up(void **state)
{
    end_open(&here, "source");
    end_open(&there, "destination");
    here.count = 42;
    memset(here.ram, 7, SWITCHOVER_BYTES);
    atomic_store(&here.running, true);
    memset(&err, 0, sizeof(err));
    return 0;
}

int tear_down(void **state)
{
    end_close(&here);
    end_close(&there);
    return 0;
}

/* The next row of a table. */
void anew(void **state, bool again)
{
    if (!again)
        return;
    tear_down(state);
    set_up(state);
}

void set_both(const char *name, const char *value)
{
    assert_int_equal(ferry_options_set(here.options, name, value, NULL), 0);
    assert_int_equal(ferry_options_set(there.options, name, value, NULL), 0);
}

/* Both to their ends.  The sessions are there before a hook asks for them. */
void migrate(int *source, int *destination)
{
    struct ferry_channel *pair[2];

    assert_int_equal(ferry_channel_pair(pair, NULL), 0);
    here.chan = pair[0];
    there.chan = pair[1];
    there.session = ferry_destination_start(there.guest, there.chan, there.options, &err);
    assert_non_null(there.session);
    here.session = ferry_source_start(here.guest, here.chan, here.options, &err);
    assert_non_null(here.session);
    *source = ferry_session_wait(here.session, FERRY_NO_DEADLINE, &err);
    *destination = ferry_session_wait(there.session, FERRY_NO_DEADLINE, NULL);
}

void migrate_and_ignore(void)
{
    int source, destination;

    migrate(&source, &destination);
}

void assert_ends(int source, int destination)
{
    int left, right;

    migrate(&left, &right);
    if (left != source || right != destination)
        fail_msg("source %d, destination %d: %s", left, right, err.text);
}

enum ferry_phase phase_of(const struct end *end)
{
    struct ferry_stats stats;

    ferry_session_stats(end->session, &stats);
    return stats.phase;
}

enum journal_step step_of(const struct end *end)
{
    struct journal_state state;

    if (journal_read(end->journal, &state, &err) < 0)
        fail_msg("%s", err.text);
    return state.step;
}

void assert_runs(bool at_source, bool at_destination)
{
    assert_false(atomic_load(&two_ran));
    assert_int_equal(atomic_load(&here.running), at_source);
    assert_int_equal(atomic_load(&there.running), at_destination);
}

void assert_journals(enum journal_step source, enum journal_step destination)
{
    assert_int_equal(step_of(&here), source);
    assert_int_equal(step_of(&there), destination);
}

int make_folder(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

int remove_folder(void **state)
{
    static const char *const names[] = { "source", "destination", "again" };
    char path[SWITCHOVER_PATH];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}
