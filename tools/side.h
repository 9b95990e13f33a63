/* SPDX-License-Identifier: BSD-3-Clause */
/* side.h - what `ferry send` and `ferry recv` have in common: one side of one migration
 *
 *      side_new --- make a guest, get a channel --- side_migrate --- look at the guest --- side_end
 *         '------------------------------- any failure -------------------------------------^
 *
 *      one after another: ... side_report --- side_next --- make a guest ... side_close
 *
 * Besides words for people there may be a line of JSON for each event, for a program that started this one:
 *
 *      {"event": "listening", "address": "tcp:127.0.0.1:40123"}
 *      {"event": "figures", "status": "active", ...}             ten times a second
 *      {"event": "report", "status": "completed", ...}           the last line
 */
#ifndef TOOLS_SIDE_H
#define TOOLS_SIDE_H

#include "args.h"
#include "await.h"
#include "exit.h"
#include "guest.h"
#include "lines.h"
#include "metrics_http.h"
#include "progress.h"
#include "report.h"
#include "steps.h"

#include <ferry/session.h>

/* Options that both commands have. */
extern const struct args_row side_rows[];

/* What is made on another thread; moved from here once it was joined, for one left behind may still write. */
struct side_made {
    struct bench_guest *guest;
    struct ferry_session *session;
    struct bench_verify verify;
    json_t *plan; /* what was predicted before it began */
    struct ferry_error err;
};

/* Who is told how it goes; NULL: nobody. */
struct side_audience {
    struct progress *progress;
    FILE *json, *events;
    bool quiet;
    bool many; /* reports: each is a line of `json` */
};

struct side {
    struct args *args;
    struct await *await;
    struct side_audience to;
    struct side_made made;
    bool left_behind; /* work goes on, on a thread that uses all of this */
    struct bench_guest *guest;
    const char *uri;                 /* where it is to go; borrowed */
    struct ferry_listener *listener; /* until the session has it */
    struct ferry_session *session;
    struct report report;
    struct lines *lines;
    struct metrics *metrics; /* NULL: nobody may ask for them */
    struct metrics_http *http;
    enum ferry_phase shown_phase; /* what is being said of it, and of which session */
    char shown_id[33];
    struct steps *steps;  /* for tests; NULL: nobody asks */
    struct side_qmp *qmp; /* who else says what to do; NULL: nobody */
};

/**
 * side_new() - take the command line apart and set up what it asks for
 * @name: "source", "destination"
 *
 * Returns NULL when there is nothing to do; then *status is what to exit with.
 */
struct side *side_new(const struct args_command *command, const char *name, int argc, char **argv,
                      enum exit_status *status);

/* Words for people, on stderr, unless --quiet. */
void side_say(struct side *side, const char *format, ...) FERRY_PRINTF(2, 3);

/* An event for programs; takes @event. */
void side_tell(struct side *side, const char *name, json_t *event);

/* await_run() of @work with @side; it leaves its error in side->made.err, what it made elsewhere in side->made. */
int side_run(struct side *side, int (*work)(void *side), void (*interrupt)(void *side), struct ferry_error *err);

/* Make side->guest. */
int side_make_guest(struct side *side, int (*work)(void *side), struct ferry_error *err);

/* Wait for side->session, showing how it goes; a signal cancels it. */
int side_migrate(struct side *side, struct ferry_error *err);

/* Something failed while @phase was done (NULL: in the session): goes into the report.  Returns EXIT_FAILED. */
enum exit_status side_failed(struct side *side, const char *phase, const struct ferry_error *err);

/* Reports, under @title where there are words. */
void side_report(struct side *side, const char *title);

/* Frees guest, session and listener and forgets what was reported: @side is as side_new() made it. */
void side_next(struct side *side);

/* Frees everything.  Returns @status. */
enum exit_status side_close(struct side *side, enum exit_status status);

/* Both: side_report() and side_close(). */
enum exit_status side_end(struct side *side, enum exit_status status, const char *title);

/* Wrong usage that shows only later: says so, frees everything. */
enum exit_status side_usage(struct side *side, const struct ferry_error *err);

/* Whether an error is about what a person wrote. */
bool side_is_usage(const struct ferry_error *err);

#endif
