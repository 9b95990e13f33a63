/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_address.h - addresses as QEMU's QMP has them, and as URIs
 *
 *      {"transport": "socket", "type": "inet", "host": "::1", "port": "4444"}   <-->   tcp:[::1]:4444
 */
#ifndef QMP_ADDRESS_H
#define QMP_ADDRESS_H

#include <ferry/error.h>
#include <jansson.h>

/* The URI of `migrate` and `migrate-incoming`: argument uri, or the one channel of channels; the caller's to free.
 * NULL with @err set. */
char *qmp_address_uri(const json_t *arguments, struct ferry_error *err);

/* "tcp:127.0.0.1:4444" as an object of socket-address; NULL for what is no socket, or no memory. */
json_t *qmp_address_json(const char *uri);

#endif
