/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_link.c - one QMP connection: what has come, what has still to go, what was agreed */
#include "qmp_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES 4096 /* of one turn, so that all have theirs */
#define OUT_KEPT    4096

struct qmp_link *qmp_link_new(int fd)
{
    struct qmp_link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->unread = malloc(PIECE_BYTES);
    if (!link->unread) {
        free(link);
        return NULL;
    }
    link->fd = fd;
    link->text.limit = QMP_REQUEST_BYTES;
    return link;
}

void qmp_link_free(struct qmp_link *link)
{
    if (!link)
        return;
    close(link->fd);
    qmp_text_clear(&link->text);
    free(link->out);
    free(link->unread);
    free(link);
}

static size_t waiting(const struct qmp_link *link)
{
    return link->out_bytes - link->out_at;
}

bool qmp_link_listens(const struct qmp_link *link)
{
    return !link->closing && !link->broken && waiting(link) < QMP_LINK_FULL;
}

bool qmp_link_talks(const struct qmp_link *link)
{
    return waiting(link) > 0;
}

static int make_room(struct qmp_link *link, size_t bytes)
{
    char *out;

    if (link->out_at > 0) {
        memmove(link->out, link->out + link->out_at, waiting(link));
        link->out_bytes = waiting(link);
        link->out_at = 0;
    }
    if (link->out_room - link->out_bytes >= bytes)
        return 0;
    out = realloc(link->out, link->out_bytes + bytes);
    if (!out)
        return -ENOMEM;
    link->out = out;
    link->out_room = link->out_bytes + bytes;
    return 0;
}

void qmp_link_put(struct qmp_link *link, const json_t *object)
{
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    size_t bytes = line ? strlen(line) : 0;

    if (!line || waiting(link) > QMP_LINK_OVERFLOW || make_room(link, bytes + 2) < 0) {
        link->broken = true;
    } else {
        memcpy(link->out + link->out_bytes, line, bytes);
        memcpy(link->out + link->out_bytes + bytes, "\r\n", 2);
        link->out_bytes += bytes + 2;
    }
    free(line);
}

void qmp_link_write(struct qmp_link *link)
{
    ssize_t sent = 0;

    if (waiting(link) > 0)
        sent = send(link->fd, link->out + link->out_at, waiting(link), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        link->out_at += (size_t)sent;
    else if (sent < 0 && errno != EAGAIN && errno != EINTR)
        link->broken = true;
    if (waiting(link) > 0)
        return;
    link->broken = link->broken || link->closing;
    link->out_at = link->out_bytes = 0;
    if (link->out_room > OUT_KEPT) {
        free(link->out);
        link->out = NULL;
        link->out_room = 0;
    }
}

/* False when there is nothing to look at. */
static bool fill(struct qmp_link *link)
{
    ssize_t got;

    if (link->unread_at < link->unread_bytes)
        return true;
    got = recv(link->fd, link->unread, PIECE_BYTES, MSG_DONTWAIT);
    link->unread_at = 0;
    link->unread_bytes = got > 0 ? (size_t)got : 0;
    if (got == 0)
        link->closing = true;
    else if (got < 0 && errno != EAGAIN && errno != EINTR)
        link->broken = true;
    return got > 0;
}

void qmp_link_read(struct qmp_link *link,
                   void (*take)(void *opaque, struct qmp_link *link, const json_t *value, const char *why),
                   void *opaque)
{
    char why[QMP_WHY_BYTES];

    if (!fill(link))
        return;
    while (link->unread_at < link->unread_bytes && qmp_link_listens(link)) {
        json_t *value = NULL;
        size_t used;
        enum qmp_found found = qmp_text_take(&link->text, link->unread + link->unread_at,
                                             link->unread_bytes - link->unread_at, &used, &value, why);

        link->unread_at += used;
        if (found == QMP_FOUND_TOO_LONG) {
            take(opaque, link, NULL, "JSON token size limit exceeded: a request has at most 65536 bytes");
            link->closing = true;
        } else if (found == QMP_FOUND_NO_MEMORY) {
            link->broken = true;
        } else if (found != QMP_FOUND_NOTHING) {
            take(opaque, link, value, why);
        }
        json_decref(value);
    }
}
