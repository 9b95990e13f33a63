/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect_package.c - the package that moves the guest: read in one go, then walked like a stream of its own
 *
 *      08 0007 0004 length | LISTEN  FULL  FULL ... PING 3  RUN |
 *
 * Nothing describes its devices: each is sized by looking for its footer (inspect_scan.c).
 */
#include "inspect_walk.h"

#include "reader.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM (256u << 10)

/* As it comes: a length alone takes no memory. */
static int read_package(struct inspect_walk *walk, uint64_t bytes)
{
    uint64_t got = 0, room = 0;

    walk->tail_offset = ferry_reader_offset(walk->live);
    while (got < bytes) {
        uint64_t more = room ? room * 2 : FIRST_ROOM;
        uint8_t *grown;
        int ret;

        room = more < bytes ? more : bytes;
        grown = realloc(walk->report->tail, room);
        if (!grown)
            return ferry_reader_fail(walk->live, -ENOMEM, "no memory for the package");
        walk->report->tail = grown;
        ret = ferry_get_bytes(walk->live, grown + got, room - got);
        if (ret < 0)
            return ret;
        got = room;
    }
    return 0;
}

int inspect_package(struct inspect_walk *walk)
{
    struct inspect_postcopy *postcopy = walk->postcopy;
    unsigned sections = walk->report->sections.count;
    int ret = read_package(walk, postcopy->package_bytes);

    walk->package_follows = false;
    if (ret < 0)
        return ret;
    walk->tail_bytes = postcopy->package_bytes;
    walk->reader = inspect_tail_reader(walk);
    if (!walk->reader) {
        walk->reader = walk->live;
        return ferry_reader_fail(walk->live, -ENOMEM, "no memory for a reader");
    }
    walk->in_package = walk->report->items.packaged = true;
    ret = inspect_items(walk);
    if (ret == 0 && postcopy->phase != POSTCOPY_RUNNING)
        ret = ferry_reader_fail(walk->reader, -EPROTO, "the package ends without the command postcopy-run");
    postcopy->devices = walk->report->sections.count - sections;
    if (ret < 0)
        return ret;
    walk->in_package = walk->report->items.packaged = false;
    ferry_reader_free(walk->reader);
    walk->reader = walk->live;
    walk->tail_bytes = 0;
    return 0;
}
