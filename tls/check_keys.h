/* SPDX-License-Identifier: BSD-3-Clause */
/* check_keys.h - what is wrong with a folder of credentials, or a file of keys: all of it, file by file
 *
 * Files are looked for, and certificates judged, as tls_credentials_new() and the other end do it (names.h, judge.h).
 * What both take today and one will not take soon, or what is open to others on this host, is told, too.
 */
#ifndef TLS_CHECK_KEYS_H
#define TLS_CHECK_KEYS_H

#include <ferry/error.h>

#define CHECK_FILES_MAX    12
#define CHECK_PROBLEMS_MAX 16
#define CHECK_PATH_BYTES   512
#define CHECK_TEXT_BYTES   512

enum check_defect {
    CHECK_MISSING,
    CHECK_UNREADABLE,
    CHECK_MALFORMED, /* neither PEM nor a line of keys */
    CHECK_EXPIRED,
    CHECK_EXPIRES_SOON,
    CHECK_NOT_YET_VALID,
    CHECK_KEY_MISFIT,
    CHECK_NOT_SIGNED, /* by the authority that is here */
    CHECK_PURPOSE,
    CHECK_NAME_MISSING,
    CHECK_WEAK,
    CHECK_REVOKED,
    CHECK_OPEN_TO_OTHERS,
    CHECK_TWICE, /* an identity */
};

struct check_problem {
    enum check_defect defect;
    char text[CHECK_TEXT_BYTES]; /* "the certificate has expired" */
};

struct check_file {
    char path[CHECK_PATH_BYTES];
    const char *kind;             /* "authority", "server key", "psk", "folder"; a constant */
    char about[CHECK_TEXT_BYTES]; /* "CN=a, DNS:a, EC of 256 bits, good until 2027-05-01"; may be empty */
    unsigned count;
    unsigned dropped; /* more that there was no room for */
    struct check_problem problems[CHECK_PROBLEMS_MAX];
};

struct check_report {
    bool source, destination; /* there are credentials for this side, sound or not */
    unsigned count;
    unsigned problems; /* of all files */
    struct check_file files[CHECK_FILES_MAX];
};

/**
 * check_keys() - look at all of @path
 * @path: a folder of certificates, of keys.psk, or of both; or a file of keys
 * @hosts: names and addresses of the server, each of which its certificate must have; borrowed
 *
 * Returns the report, the caller's to free(); NULL where it could not be made, not where something is wrong.
 */
struct check_report *check_keys(const char *path, const char *const *hosts, unsigned host_count,
                                struct ferry_error *err);

/* "expired", "open-to-others": frozen, for programs. */
const char *check_defect_name(enum check_defect defect);

/* What to do about it. */
const char *check_defect_hint(enum check_defect defect);

#endif
