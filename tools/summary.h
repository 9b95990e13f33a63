/* SPDX-License-Identifier: BSD-3-Clause */
/* summary.h - a report in words
 *
 *     downtime       11.2 ms, measured at the source
 *     blackout       12.9 ms, as the guest saw it
 */
#ifndef TOOLS_SUMMARY_H
#define TOOLS_SUMMARY_H

#include <jansson.h>
#include <stdio.h>

/* Of one side or of both; @source, @destination: as of report_json(), NULL for a side that is not known here. */
void summary_print(FILE *to, const json_t *source, const json_t *destination);

/* "ferry send: tcp:...: connection refused", and the hint.  Nothing when there was no error. */
void summary_error(FILE *to, const char *who, const json_t *report);

#endif
