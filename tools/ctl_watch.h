/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl_watch.h - `ferry ctl ADDRESS watch`: how a migration goes, as a table that is drawn anew
 *
 *     status       active
 *     time         4.2 s, round 3
 *     ...
 */
#ifndef TOOLS_CTL_WATCH_H
#define TOOLS_CTL_WATCH_H

#include "qmp_client.h"

#include <stdbool.h>
#include <stdio.h>

/* Until the migration has ended.  Returns an enum exit_status. */
int ctl_watch(struct qmp_client *client, int every_ms);

/* The table of one query-migrate answer; @clear: a terminal, whose lines end in what clears their rest.  Returns how
 * many lines it has. */
int ctl_watch_print(FILE *to, const json_t *answer, bool clear);

#endif
