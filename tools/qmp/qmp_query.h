/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_query.h - what query-migrate answers: QEMU's members, and all of ours in one named "ferry" */
#ifndef QMP_QUERY_H
#define QMP_QUERY_H

#include "qmp_control.h"

/* With the control's lock held; NULL when out of memory. */
json_t *qmp_query_migrate(struct qmp_control *control);

/* The status that query-migrate tells.  The control's lock is held. */
enum ferry_phase qmp_query_phase(struct qmp_control *control);

#endif
