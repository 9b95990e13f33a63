/* SPDX-License-Identifier: BSD-3-Clause */
/* switchover_fixture.h - two sessions of one process, and something that goes wrong at a step of one of them
 *
 * The linker sends fdatasync to a wrapper, which fails as often as the thread that calls it was told to.
 */
#ifndef UNIT_SWITCHOVER_FIXTURE_H
#define UNIT_SWITCHOVER_FIXTURE_H

#include "journal.h"

#include <ferry/notify.h>
#include <ferry/session.h>

#include <stdatomic.h>

#define SWITCHOVER_BYTES (16 * FERRY_PAGE_BYTES)
#define SWITCHOVER_PATH  128

/* One end: a machine, and what is to happen at a step of its session. */
struct end {
    char journal[SWITCHOVER_PATH];
    uint8_t *ram;
    uint32_t count; /* device state */
    atomic_bool running;
    int starts;
    bool cannot_start;
    struct ferry_guest *guest;
    struct ferry_options *options;
    struct ferry_channel *chan;
    struct ferry_session *session;
    const char *at; /* the step */
    int syncs;      /* that fail from then on */
    bool cut;       /* the connection goes */
    bool cancel;
    enum ferry_migration_state told; /* the last notice */
};

extern struct end here, there;
extern struct ferry_error err;

/* The folder of the journals, for a group of tests; then for each test two ends, the guest at the first. */
int make_folder(void **state);
int remove_folder(void **state);
int set_up(void **state);
int tear_down(void **state);

/* The next row of a table, if @again. */
void anew(void **state, bool again);

void end_open(struct end *end, const char *name);
void end_close(struct end *end);

void set_both(const char *name, const char *value);

/* Both to their ends.  err: the source's. */
void migrate(int *source, int *destination);
void migrate_and_ignore(void);
void assert_ends(int source, int destination);

enum ferry_phase phase_of(const struct end *end);
enum journal_step step_of(const struct end *end);
void assert_runs(bool at_source, bool at_destination);
void assert_journals(enum journal_step source, enum journal_step destination);

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
