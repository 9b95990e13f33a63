/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_door.h - where QMP clients come in: a unix socket for this user alone, or a descriptor that was handed over */
#ifndef QMP_DOOR_H
#define QMP_DOOR_H

#include <ferry/error.h>

struct qmp_door;

/* unix:PATH (made with mode 0600), unix:@NAME, fd:N. */
struct qmp_door *qmp_door_open(const char *address, struct ferry_error *err);

/* NULL is legal. */
void qmp_door_free(struct qmp_door *door);

/* What to poll for newcomers; -1: nobody comes. */
int qmp_door_fd(const struct qmp_door *door);

/* The descriptor of the next client, the caller's; -1: none is there.  Another user's clients are hung up on. */
int qmp_door_accept(struct qmp_door *door);

/* A descriptor that was connected from the start, the caller's, once; else -1. */
int qmp_door_connected(struct qmp_door *door);

#endif
