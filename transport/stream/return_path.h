/* SPDX-License-Identifier: BSD-3-Clause */
/* return_path.h - messages from destination to source
 *
 *      be16 type | be16 length | payload
 *
 * Opened by the command OPEN_RETURN_PATH; before it the destination stays silent.
 */
#ifndef STREAM_RETURN_PATH_H
#define STREAM_RETURN_PATH_H

#include <ferry/stream.h>

enum return_path_message {
    RETURN_PATH_SHUT = 1, /* be32: 0 all is loaded, else it failed */
    RETURN_PATH_PONG = 2, /* be32: the cookie of the PING */
};

/* Each sends at once.  Returns 0 or the writer's error. */
int return_path_pong(struct ferry_writer *writer, uint32_t cookie, struct ferry_error *err);
int return_path_shut(struct ferry_writer *writer, uint32_t status, struct ferry_error *err);

#endif
