/* SPDX-License-Identifier: BSD-3-Clause */
/* keys_fixture.c - keys made in a folder of the test, and what a check says of them */
#include "keys_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const hosts[] = { FIXTURE_HOST, "192.0.2.7", "2001:db8::7", "*.example.org" };
char folder[64], other[64];

int set_up(void **state)
{
    fixture_folder(folder);
    fixture_folder(other);
    return 0;
}

int tear_down(void **state)
{
    fixture_remove(folder);
    fixture_remove(other);
    return 0;
}

const char *at(const char *in, const char *name)
{
    static char paths[4][KEYS_PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, KEYS_PATH_BYTES, "%s/%s", in, name);
    return path;
}

unsigned mode_of(const char *path)
{
    struct stat about;

    assert_int_equal(stat(path, &about), 0);
    return about.st_mode & 07777;
}

struct make_terms terms_of(const char *to, const char *authority)
{
    return (struct make_terms){ .folder = to,
                                .authority = authority,
                                .hosts = hosts,
                                .host_count = sizeof(hosts) / sizeof(hosts[0]),
                                .client = "source.example.com",
                                .days = MAKE_DAYS };
}

void make(const struct make_terms *terms)
{
    struct file_set made = { 0 };
    struct ferry_error err = { 0 };

    if (make_x509(terms, &made, &err) < 0)
        fail_msg("%s", ferry_error_text(&err));
    file_set_clear(&made);
}

void make_all(void)
{
    struct make_terms terms = terms_of(folder, NULL);

    make(&terms);
}

struct check_report *check(const char *path, const char *host)
{
    struct ferry_error err = { 0 };
    struct check_report *report = check_keys(path, &host, host != NULL, &err);

    if (!report)
        fail_msg("%s", ferry_error_text(&err));
    return report;
}

const struct check_problem *find(const struct check_report *report, const char *file, enum check_defect defect,
                                 const char *text)
{
    for (unsigned i = 0; i < report->count; i++)
        for (unsigned j = 0; j < report->files[i].count; j++) {
            const struct check_problem *problem = &report->files[i].problems[j];
            const char *path = report->files[i].path;

            if (!strcmp(path + strlen(path) - strlen(file), file) && problem->defect == defect &&
                strstr(problem->text, text))
                return problem;
        }
    return NULL;
}

void dump(const struct check_report *report)
{
    for (unsigned i = 0; i < report->count; i++)
        for (unsigned j = 0; j < report->files[i].count; j++)
            print_message("%s: %s: %s\n", report->files[i].path, check_defect_name(report->files[i].problems[j].defect),
                          report->files[i].problems[j].text);
}

void assert_told(const char *path, const char *host, unsigned problems, const char *file, enum check_defect defect,
                 const char *text)
{
    struct check_report *report = check(path, host);
    bool found = find(report, file, defect, text) && report->problems == problems;

    if (!found)
        dump(report);
    assert_true(found);
    free(report);
}

void assert_well(const char *path, const char *host)
{
    struct check_report *report = check(path, host);

    dump(report);
    assert_int_equal(report->problems, 0);
    free(report);
}
