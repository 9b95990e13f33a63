/* SPDX-License-Identifier: BSD-3-Clause */
/* iterative_fixture.h - a machine with toy devices that send in rounds, and a migration of it in this process
 *
 * A toy is a table of 1 KiB rows.  A CPU thread of the machine writes them while it runs, each toy at a pace of its
 * own.
 */
#ifndef TESTS_ITERATIVE_FIXTURE_H
#define TESTS_ITERATIVE_FIXTURE_H

#include <ferry/iterative.h>
#include <ferry/notify.h>
#include <ferry/session.h>
#include <pthread.h>
#include <stdatomic.h>

#define TOY_ROW  1024
#define TOY_ROWS 1024

struct toy {
    pthread_mutex_t lock; /* guards rows and dirty */
    uint8_t rows[TOY_ROWS][TOY_ROW];
    bool dirty[TOY_ROWS];
    unsigned dirty_rows;
    unsigned every; /* the CPU writes a row in every so many steps; 0: never */
    char log[256];  /* a letter for each call: s i c p r . for save, S L R ! for load */
    int fail_setup, fail_iterate, fail_complete, fail_load; /* what these return; 0: they work */
    uint64_t most_budget;
    bool unneeded, postcopy;
    unsigned loaded_rows; /* at the destination; the toy is ready once ready_rows have come */
    unsigned ready_rows;
};

struct machine {
    struct ferry_guest *guest;
    uint8_t *memory;
    struct toy toy[2];
    uint64_t steps;
    atomic_bool running;
    bool started;
    int starts, stops;
    pthread_t cpu;
};

#define MACHINE_BYTES (64 * FERRY_PAGE_BYTES)

extern const struct ferry_iterative_ops toy_ops;       /* must come */
extern const struct ferry_iterative_ops toy_maybe_ops; /* has `needed` */

void toy_write(struct toy *toy, unsigned row, uint8_t value);

/* Two toys, "fast" and "slow", with every row written once. */
void machine_open(struct machine *machine);
void machine_close(struct machine *machine);
int machine_start(void *opaque, struct ferry_error *err);
int machine_stop(void *opaque, struct ferry_error *err);

struct move {
    struct ferry_channel *pair[2];
    struct ferry_session *source, *destination;
    struct ferry_error here, there; /* how each ended */
};

/* Start both sides; @options may be NULL. */
void move_begin(struct move *move, struct machine *here, struct machine *there, const struct ferry_options *options);

/* Wait for both; each side's result is in the errors.  When one fails, the channel is shut down for the other. */
void move_end(struct move *move);

/* Both, and the sessions and channels are freed. */
void move_free(struct move *move);

#endif
