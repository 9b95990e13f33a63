/* SPDX-License-Identifier: BSD-3-Clause */
/* qmp_link.h - one QMP connection: what has come, what has still to go, what was agreed
 *
 * A client that does not read is not read from, either, once QMP_LINK_FULL bytes wait for it; one that lets events pile
 * up is hung up on.  So no client can hold more memory than the limits below.
 */
#ifndef QMP_LINK_H
#define QMP_LINK_H

#include "qmp_text.h"

#include <stdint.h>

#define QMP_REQUEST_BYTES 65536        /* the longest request */
#define QMP_LINK_FULL     (32 * 1024)  /* waiting to go: no further request is taken */
#define QMP_LINK_OVERFLOW (128 * 1024) /* nothing more is put: it is hung up on */

struct qmp_link {
    int fd; /* owned */
    struct qmp_text text;
    char *out; /* owned */
    size_t out_at, out_bytes, out_room;
    bool agreed;            /* qmp_capabilities has come */
    bool oob;               /* with "oob" in it */
    bool closing;           /* hang up when all has gone */
    bool broken;            /* hang up now */
    int64_t modest_from_ns; /* when it has its turn before others again */
    char *unread;           /* bytes that came, of which no request was made yet; owned */
    size_t unread_at, unread_bytes;
};

/* Takes @fd. */
struct qmp_link *qmp_link_new(int fd);

/* Closes.  NULL is legal. */
void qmp_link_free(struct qmp_link *link);

/* Does it want to be read from?  Does it have something to be written? */
bool qmp_link_listens(const struct qmp_link *link);
bool qmp_link_talks(const struct qmp_link *link);

/* Puts a line; borrows @object.  NULL, which is what no memory makes of an answer, hangs up. */
void qmp_link_put(struct qmp_link *link, const json_t *object);

/* Writes what the socket takes.  Never blocks. */
void qmp_link_write(struct qmp_link *link);

/**
 * qmp_link_read() - one turn: read at most one piece, and hand out what is whole in it
 * @take: called for each value, borrowed; NULL and @why for what was no JSON
 */
void qmp_link_read(struct qmp_link *link,
                   void (*take)(void *opaque, struct qmp_link *link, const json_t *value, const char *why),
                   void *opaque);

#endif
