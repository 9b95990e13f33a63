/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_server.h - the QMP socket: one thread that meets, hears and answers all clients
 *
 *      poll: listener, clients, wake --- accept --- a turn for each: read a piece, answer, write what fits --- poll
 *
 * Clients can neither stop each other nor the migration: no write blocks, every client has a turn of the same size, its
 * buffers have bounds, and all of them together get no more than a fiftieth of a processor, and a burst.  Who can
 * connect may do everything that this process may (`migrate exec:...`), so it is a unix socket of this user alone.
 */
#ifndef QMP_SERVER_H
#define QMP_SERVER_H

#include "qmp_control.h"

#define QMP_CLIENTS_MAX 256 /* at once; then who never agreed to anything gives way to the next */

struct qmp_server;

/**
 * qmp_server_new() - open the socket
 * @address: unix:PATH, unix:@NAME, or fd:N of a socket that listens or is connected
 */
struct qmp_server *qmp_server_new(const char *address, struct ferry_error *err);

/* Begin to serve.  @control is borrowed until qmp_server_stop(). */
int qmp_server_start(struct qmp_server *server, struct qmp_control *control, struct ferry_error *err);

/* Tell every client that has agreed; takes @event.  @server: its own type as void, for qmp_terms.  Thread: any. */
void qmp_server_post(void *server, json_t *event);

/* Gives clients what the sockets take, and ends the thread.  Harmless twice; NULL is legal. */
void qmp_server_stop(struct qmp_server *server);

/* Stops, closes, frees.  NULL is legal. */
void qmp_server_free(struct qmp_server *server);

#endif
