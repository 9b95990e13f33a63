/* SPDX-License-Identifier: BSD-3-Clause */
/* packet_reader.h - packets from a channel: a header, then its payload wherever it belongs
 *
 *      header | payload ............................ | header | payload ...
 *             \-------------- one read -------------------------/
 *
 * Whatever reads a payload looks ahead for the next header, so in a full stream there is one read per packet, and
 * payload that came along with a header (AHEAD_BYTES at most) is all that is ever copied.
 *
 * Used by one thread.  Errors say which channel and at which byte.
 */
#ifndef PAGES_PACKET_READER_H
#define PAGES_PACKET_READER_H

#include "packet.h"

#include <ferry/channel.h>

struct packet_reader {
    struct ferry_channel *chan; /* borrowed */
    const struct packet_format *format;
    const struct ram_map *map; /* borrowed */
    uint64_t offset;           /* bytes consumed */
    uint64_t packet_at;        /* where the packet begins that was read last */
    size_t start, end;         /* what was read ahead */
    uint8_t ahead[PACKET_HEAD_MAX + PACKET_REST_MAX];
};

void packet_reader_init(struct packet_reader *reader, struct ferry_channel *chan, const struct packet_format *format,
                        const struct ram_map *map);

/* The next header.  1, or 0: the stream has ended between two packets. */
int packet_reader_next(struct packet_reader *reader, struct packet *packet, struct ferry_error *err);

/* As many bytes of payload as @iov holds.  The elements are changed, and one more than @count must be there. */
int packet_reader_payload(struct packet_reader *reader, struct iovec *iov, int count, struct ferry_error *err);

/* Say of an error that was found in the packet read last where that was. */
int packet_reader_fail(const struct packet_reader *reader, int errnum, struct ferry_error *err);

#endif
