/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_matrix.h - what is to be measured: axes, their values, and the rows that they make
 *
 *      size=256MiB  channels=0,2  tls=off,on        {"size": ["256MiB"], "channels": ["0", "2"], "tls": ["off", "on"]}
 *
 *      row 0   size=256MiB channels=0 tls=off       the last axis changes first
 *      row 1   size=256MiB channels=0 tls=on
 *      row 2   size=256MiB channels=2 tls=off
 *      row 3   size=256MiB channels=2 tls=on
 *
 * An axis is a key of a synthetic guest (bench/guest/spec.h), any option of a migration, or one of ours: `guest` (its
 * kind), `tls` (off, on: with a key made for the occasion), `via` (tcp, unix: at one host).
 */
#ifndef TOOLS_BENCH_MATRIX_H
#define TOOLS_BENCH_MATRIX_H

#include <ferry/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define MATRIX_ROWS_MAX 4096

enum matrix_key {
    MATRIX_UNKNOWN,
    MATRIX_OWN,    /* guest, tls, via */
    MATRIX_GUEST,  /* of the guest's SPEC */
    MATRIX_OPTION, /* of the migration */
    MATRIX_SECRET, /* an option that names a file of one host, which is no axis */
};

enum matrix_key matrix_key(const char *key);

/* "KEY=V1,V2" becomes one more axis of @axes.  A key that is there already is refused. */
int matrix_add(json_t *axes, const char *text, struct ferry_error *err);

/* The axes of a file: an object of KEY: VALUE, or KEY: [VALUE, ...]. */
int matrix_read(json_t *axes, const char *path, struct ferry_error *err);

/* Is every row one that can be asked for?  @local: both ends are on this host. */
int matrix_check(const json_t *axes, bool local, struct ferry_error *err);

size_t matrix_rows(const json_t *axes);

/* The settings of one row, {KEY: VALUE}: a new object, or NULL when out of memory. */
json_t *matrix_row(const json_t *axes, size_t row);

/* "pattern:size=256MiB,...".  Returns @to. */
char *matrix_guest(const json_t *settings, char *to, size_t room);

/* What tells this row from the others: "channels=2 tls=on"; where there is one row only, all of it.  Returns @to. */
char *matrix_label(const json_t *axes, const json_t *settings, char *to, size_t room);

/**
 * matrix_order() - in which order the rows are run in one repetition
 * @order: room for @rows; each once, shuffled, the same for the same @seed
 */
void matrix_order(size_t rows, uint64_t seed, size_t *order);

#endif
