/* SPDX-License-Identifier: BSD-3-Clause */
/* json_lines.c - objects of JSON, one in a line, out of bytes that come in any pieces */
#include "json_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Every whole line; what is left moves to the front. */
static void take(struct json_lines *lines, void (*object)(void *opaque, json_t *object), void *opaque)
{
    char *from = lines->line, *end;

    while ((end = memchr(from, '\n', lines->bytes - (size_t)(from - lines->line)))) {
        json_t *found = json_loadb(from, (size_t)(end - from), 0, NULL);

        if (json_is_object(found))
            object(opaque, found);
        json_decref(found);
        from = end + 1;
    }
    lines->bytes -= (size_t)(from - lines->line);
    memmove(lines->line, from, lines->bytes);
    if (lines->bytes == JSON_LINE_BYTES)
        lines->bytes = 0;
}

ssize_t json_lines_read(struct json_lines *lines, int fd, void (*object)(void *opaque, json_t *object), void *opaque)
{
    ssize_t got;

    if (!lines->line && !(lines->line = malloc(JSON_LINE_BYTES)))
        return -ENOMEM;
    got = read(fd, lines->line + lines->bytes, JSON_LINE_BYTES - lines->bytes);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (got == 0)
        return 0;
    lines->bytes += (size_t)got;
    take(lines, object, opaque);
    return got;
}

void json_lines_clear(struct json_lines *lines)
{
    free(lines->line);
    *lines = (struct json_lines){ 0 };
}

static ssize_t put(int fd, const char *from, size_t bytes)
{
    ssize_t done = send(fd, from, bytes, MSG_NOSIGNAL);

    return done < 0 && errno == ENOTSOCK ? write(fd, from, bytes) : done;
}

int json_lines_send(int fd, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    size_t bytes = text ? strlen(text) : 0, sent = 0;
    int ret = text ? 0 : -ENOMEM;

    json_decref(object);
    if (text)
        text[bytes++] = '\n'; /* over the terminator: it is no string any more */
    while (ret == 0 && sent < bytes) {
        ssize_t done = put(fd, text + sent, bytes - sent);

        if (done < 0 && errno != EINTR)
            ret = -errno;
        else if (done > 0)
            sent += (size_t)done;
    }
    free(text);
    return ret;
}
