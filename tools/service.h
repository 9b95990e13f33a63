/* SPDX-License-Identifier: BSD-3-Clause */
/* service.h - what a service manager is told, and the socket that it hands over
 *
 * systemd's protocol, by its own library.  Without that library, and for a process that no service manager has started,
 * all of this is nothing.
 */
#ifndef TOOLS_SERVICE_H
#define TOOLS_SERVICE_H

#include <ferry/error.h>

/* It is ready for whatever it was started for. */
void service_ready(void);

/* What it is doing, in a few words. */
void service_status(const char *format, ...) FERRY_PRINTF(1, 2);

/* It is about to end. */
void service_stopping(void);

/**
 * service_uri() - where the service manager listens for us
 *
 * Returns "fd:3", "" when there is nothing, or NULL with @err set when there is more than one socket.
 */
const char *service_uri(struct ferry_error *err);

#endif
