/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_commands.h - the table of QMP commands: names, arguments and what each does */
#ifndef QMP_COMMANDS_H
#define QMP_COMMANDS_H

#include "qmp_control.h"

/* What the client that asks has agreed to. */
struct qmp_agreed {
    bool agreed; /* qmp_capabilities has come */
    bool oob;
};

/**
 * qmp_commands_answer() - do what a request says, and answer it
 * @value: what came; NULL: no JSON, @why says it
 *
 * Returns the caller's reference, or NULL when out of memory.  Thread: the server's; never waits for a migration.
 */
json_t *qmp_commands_answer(struct qmp_control *control, struct qmp_agreed *client, const json_t *value,
                            const char *why);

/* What a client is met with. */
json_t *qmp_commands_greeting(void);

#endif
