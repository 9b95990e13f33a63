/* SPDX-License-Identifier: BSD-3-Clause */
/* check_parts.h - how the parts of a check write their findings */
#ifndef TLS_CHECK_PARTS_H
#define TLS_CHECK_PARTS_H

#include "check_keys.h"

/* The next file of the report; its problems are told to the same.  Never NULL. */
struct check_file *check_begin(struct check_report *report, const char *path, const char *kind);

void check_tell(struct check_report *report, struct check_file *file, enum check_defect defect, const char *format, ...)
    FERRY_PRINTF(4, 5);

/* What a failed reading says: missing, not readable, or malformed. */
void check_tell_error(struct check_report *report, struct check_file *file, const struct ferry_error *err);

/* Can others on this host read it (where it is @secret) or write to it? */
void check_modes(struct check_report *report, struct check_file *file, bool secret);

/* The certificates of @folder, which is the report's first file.  0, whatever is wrong with them; or -ENOMEM. */
int check_x509(struct check_report *report, const char *folder, const char *const *hosts, unsigned host_count,
               struct ferry_error *err);

#endif
