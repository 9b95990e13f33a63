/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_command_rows.h - a row of the table of QMP commands */
#ifndef QMP_COMMAND_ROWS_H
#define QMP_COMMAND_ROWS_H

#include "qmp_control.h"

enum qmp_type {
    QMP_STRING,
    QMP_INTEGER,
    QMP_BOOLEAN,
    QMP_ARRAY,
    QMP_ANYTHING,
};

struct qmp_argument {
    const char *name;
    enum qmp_type type;
    bool needed;
};

struct qmp_command {
    const char *name;
    /* With the control's lock held, arguments checked; the answer, or NULL with @err set (without: no memory). */
    json_t *(*run)(struct qmp_control *control, json_t *arguments, struct ferry_error *err);
    const struct qmp_argument *arguments; /* NULL: none */
    bool takes_any;                       /* of any name, which the command checks itself */
    bool oob;                             /* may come with exec-oob, as at QEMU */
};

/* Tables that end with a row without a name; the list of them ends with NULL. */
extern const struct qmp_command *const qmp_command_tables[];
extern const struct qmp_command qmp_migration_commands[];
extern const struct qmp_command qmp_asked_commands[];

json_t *qmp_version_json(void);

#endif
