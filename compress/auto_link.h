/* SPDX-License-Identifier: BSD-3-Clause */
/* auto_link.h - how fast a link is, told by how long writes to it take
 *
 *      queue filling   writes take what copying takes: the link is at least as fast as what was written
 *      queue full      writes wait: the link is as fast as what was written
 *
 * A link that nobody ever waits for may be faster than is known.  To find out, the queue must be filled: by so much
 * raw memory that a write waits.
 */
#ifndef COMPRESS_AUTO_LINK_H
#define COMPRESS_AUTO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct auto_link {
    double rate;    /* bytes per ns; 0: not known */
    double copy_ns; /* of a byte, when nothing waits; 0: not known */
    bool asking;    /* the queue is being filled */
    bool waits;     /* the last write did */

    uint64_t bytes; /* of the window: so much was written ... */
    int64_t ns;     /* ... in this time ... */
    int64_t waited_ns;
    int64_t amiss_ns; /* ... of it when waiting was expected */
    int64_t quiet_ns; /* since somebody waited for the link */
};

/* As auto_written().  @expected: by the known rate, the link is what is waited for. */
void auto_link_told(struct auto_link *link, size_t bytes, int64_t write_ns, int64_t whole_ns, bool expected);

/* Nobody has waited for so long that it is time to ask; where it was expected, that is soon. */
bool auto_link_is_stale(const struct auto_link *link);

/* From now on the caller writes raw memory until @asking is false. */
void auto_link_ask(struct auto_link *link);

#endif
