/* SPDX-License-Identifier: BSD-3-Clause */
/* json_lines.h - objects of JSON, one in a line, out of bytes that come in any pieces */
#ifndef TOOLS_JSON_LINES_H
#define TOOLS_JSON_LINES_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#define JSON_LINE_BYTES 65536 /* longer ones are none of ours, and dropped */

/* Zeroed at first. */
struct json_lines {
    char *line; /* begun, not yet whole */
    size_t bytes;
};

/**
 * json_lines_read() - one read(2), and what became whole by it
 * @object: called for each, borrowed; what is no object of JSON is passed over
 *
 * Returns the bytes read, 0 at the end, or a negative errno; -EAGAIN also when a signal came.
 */
ssize_t json_lines_read(struct json_lines *lines, int fd, void (*object)(void *opaque, json_t *object), void *opaque);

/* Frees what is kept; then it is zeroed again. */
void json_lines_clear(struct json_lines *lines);

/* One object as a line, all of it; takes @object.  0 or a negative errno; no SIGPIPE from a socket. */
int json_lines_send(int fd, json_t *object);

#endif
