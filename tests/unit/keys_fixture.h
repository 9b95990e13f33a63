/* SPDX-License-Identifier: BSD-3-Clause */
/* keys_fixture.h - keys made in a folder of the test, and what a check says of them */
#ifndef TESTS_KEYS_FIXTURE_H
#define TESTS_KEYS_FIXTURE_H

#include "check_keys.h"
#include "make_keys.h"
#include "tls_fixture.h"

#define KEYS_PATH_BYTES 192

/* Two folders, new for each test. */
extern char folder[64], other[64];
int set_up(void **state);
int tear_down(void **state);

/* "IN/NAME", good until the fourth call from here. */
const char *at(const char *in, const char *name);
unsigned mode_of(const char *path);

/* A server of FIXTURE_HOST, 192.0.2.7, 2001:db8::7 and *.example.org, and a client, for a year. */
struct make_terms terms_of(const char *to, const char *authority);
void make(const struct make_terms *terms);
void make_all(void); /* with an authority, in @folder */

/* The caller's to free(). */
struct check_report *check(const char *path, const char *host);
const struct check_problem *find(const struct check_report *report, const char *file, enum check_defect defect,
                                 const char *text);
void dump(const struct check_report *report);

/* That many things are wrong, and this is one of them. */
void assert_told(const char *path, const char *host, unsigned problems, const char *file, enum check_defect defect,
                 const char *text);
void assert_well(const char *path, const char *host);

#endif
