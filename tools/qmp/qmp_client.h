/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_client.h - the other end of a QMP socket: asks, and waits for the answer */
#ifndef QMP_CLIENT_H
#define QMP_CLIENT_H

#include <ferry/error.h>
#include <jansson.h>

struct qmp_client;

/* Connect, be greeted, negotiate; @timeout_ms goes for each step and each answer. */
struct qmp_client *qmp_client_open(const char *address, int timeout_ms, struct ferry_error *err);

/* NULL is legal. */
void qmp_client_close(struct qmp_client *client);

/**
 * qmp_client_ask() - one command
 * @arguments: taken; NULL: none
 *
 * Events that come meanwhile are let fall.  Returns what "return" holds, the caller's; NULL with @err set: "CLASS:
 * why".
 */
json_t *qmp_client_ask(struct qmp_client *client, const char *name, json_t *arguments, struct ferry_error *err);

#endif
