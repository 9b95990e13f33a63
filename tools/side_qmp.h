/* SPDX-License-Identifier: BSD-3-Clause */
/* side_qmp.h - one side of a migration, told what to do by QMP (option --qmp)
 *
 * With an address on the command line, clients watch and steer that one migration.  Without, nothing begins until a
 * client says `migrate` or `migrate-incoming`, and the side stays until `quit` or a signal, as QEMU does.
 * Without --qmp all of this does nothing.
 */
#ifndef TOOLS_SIDE_QMP_H
#define TOOLS_SIDE_QMP_H

#include "side.h"

struct side_qmp;

/* The socket, as --qmp says; 0 with *qmp NULL without it. */
int side_qmp_open(const struct args *args, struct side_qmp **qmp, struct ferry_error *err);

/* NULL is legal. */
void side_qmp_free(struct side_qmp *qmp);

/* The address is to come from a client. */
bool side_qmp_deferred(const struct side *side);

/* Whether there is an address (side->uri), or somebody who can give one. */
int side_qmp_check(struct side *side, struct ferry_error *err);

/* Serve clients, now that there is a guest. */
int side_qmp_start(struct side *side, struct ferry_error *err);

/* Wait until a migration is asked for and get ready for it: options, side->listener.  Returns its address, or NULL when
 * the end is asked for. */
const char *side_qmp_wait(struct side *side);

/* A migration begins / its session runs / it is over, @err: why badly. */
void side_qmp_begin(struct side *side);
void side_qmp_attach(struct side *side);
void side_qmp_detach(struct side *side, const struct ferry_error *err);

/* Its postcopy is paused: wait until a client tells it to go on.  False: nobody will, or can. */
bool side_qmp_await_resume(struct side *side);
void side_qmp_give_up(struct side *side);

/* The process is about to end with all it has: clients hear what they were told, and no more. */
void side_qmp_leave(struct side *side);

/* Was the end asked for? */
bool side_qmp_quits(const struct side *side);

/* The guest was stopped for good. */
void side_qmp_stopped(struct side *side);

#endif
